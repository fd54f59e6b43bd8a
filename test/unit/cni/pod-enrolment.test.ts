/** One pod's way in and out of the mesh, against a world in which every step may fail at any time. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import type { AmbitError } from '../../../src/base/errors.ts';
import { type IpAddress, parseIp } from '../../../src/base/ip.ts';
import type {
  EnrolmentFinding,
  EnrolmentSteps,
  EnrolmentWish,
  RedirectionAnnotation,
  RedirectionHow,
} from '../../../src/cni/enrolment-state.ts';
import { cniErrors } from '../../../src/cni/errors.ts';
import { PodEnrolment } from '../../../src/cni/pod-enrolment.ts';
import { type PodFacts, podFacts } from '../../../src/cni/pod-facts.ts';
import type { NetnsQuery, PodNetns } from '../../../src/cni/pod-netns.ts';
import { optionsKey, podOptions } from '../../../src/cni/pod-options.ts';
import type { RedirectionOutcome } from '../../../src/cni/redirection.ts';
import type { RedirectionOptions } from '../../../src/cni/redirection-rules.ts';
import { setLogLevels } from '../../../src/telemetry/log.ts';
import { eventually } from '../../support/eventually.ts';

setLogLevels('error');

const UID = 'uid-1';
const ANNOTATION = 'ambient.istio.io/redirection';
const STEP_NAMES = [
  'find',
  'rules',
  'release',
  'remove',
  'offer',
  'withdraw',
  'exempt',
  'unexempt',
  'annotate',
] as const;
/** The rules of a pod that is leaving. */
const LEAVING = 'leaving';
type StepName = (typeof STEP_NAMES)[number];

/** A namespace of the simulated node. */
interface Sandbox {
  readonly path: string;
  readonly inode: string;
  ips: readonly IpAddress[];
  rules: string | undefined;
  /** The agent has put rules in force, whatever became of them since. */
  isPrepared: boolean;
  /** ztunnel has carried it at some time. */
  wasCarried: boolean;
  /** The plugin waits for it: its pod has not started. */
  isAwaited: boolean;
  /** The plugin was told to tear it down. */
  isEnding: boolean;
  exists: boolean;
}

/** A node with one pod: what is in force in it, and the promises that the agent must never break. */
class World implements EnrolmentSteps {
  readonly sandboxes: Sandbox[] = [];
  readonly calls: string[] = [];
  readonly violations: string[] = [];
  /** What ztunnel carries: the namespace it was handed last. */
  carried: Sandbox | undefined;
  exempt = new Set<IpAddress>();
  annotation: string | undefined;
  isZtunnelThere = true;
  /** While set, ztunnel does not answer. */
  hold: Promise<void> | undefined;
  bypasses: readonly string[] = [];
  wasCaptured = false;
  open = 0;
  failing = new Map<StepName, AmbitError>();
  enrolment: PodEnrolment | undefined;

  addSandbox(...ips: string[]): Sandbox {
    const number = this.sandboxes.length + 1;
    const addresses = ips.map((ip) => parseIp(ip)!);
    const common = { path: `/ns/${number}`, inode: `4:${number}`, ips: addresses };
    const nothing = {
      rules: undefined,
      isPrepared: false,
      wasCarried: false,
      isAwaited: false,
      isEnding: false,
    };
    const sandbox: Sandbox = { ...common, ...nothing, exists: true };
    this.sandboxes.push(sandbox);
    return sandbox;
  }

  findNetns(query: NetnsQuery): PodNetns {
    this.#call('find');
    const found = this.sandboxes.find(
      (one) =>
        one.exists &&
        (query.path === undefined
          ? one.inode !== query.notInode && query.ips.some((ip) => one.ips.includes(ip))
          : one.path === query.path),
    );
    if (found === undefined) throw cniErrors.AMBIT_CNI_NETNS_NOT_FOUND('no such namespace');
    this.open++;
    const { path } = found;
    return { path, localPath: path, namespace: { inode: found.inode, fd: 7 } as PodNetns['namespace'] };
  }

  isStillThere(netns: PodNetns): boolean {
    return this.#sandboxOf(netns).exists;
  }

  closeNetns(): void {
    this.open--;
    if (this.open < 0) this.violations.push('a namespace was closed twice');
  }

  async ensureRules(
    netns: PodNetns,
    options: RedirectionOptions,
    { isFresh }: RedirectionHow,
  ): Promise<RedirectionOutcome> {
    await this.#step('rules');
    const sandbox = this.#sandboxOf(netns);
    if (isFresh && sandbox.rules !== undefined) this.violations.push('rules were applied blindly over rules');
    const isAtWork = !sandbox.isAwaited && !sandbox.isEnding;
    if (isAtWork && !sandbox.wasCarried && !this.wasCaptured) {
      this.violations.push('a pod at work was cut off');
    }
    this.wasCaptured = true;
    const wasRight = sandbox.rules === optionsKey(options);
    sandbox.rules = optionsKey(options);
    sandbox.isPrepared = true;
    const hasProxy = isFresh ? undefined : this.carried === sandbox;
    const findings = wasRight ? [] : ([{ family: 4, kind: 'missing-chain' }] as const);
    return { findings, hasProxy, bypasses: this.bypasses };
  }

  async endCapture(netns: PodNetns): Promise<void> {
    await this.#step('release');
    this.#sandboxOf(netns).rules = LEAVING;
    this.wasCaptured = false;
  }

  async removeRules(netns: PodNetns): Promise<void> {
    await this.#step('remove');
    if (this.carried === this.#sandboxOf(netns) && this.carried.rules === LEAVING) {
      this.violations.push('the rules went before ztunnel had closed its connections');
    }
    Object.assign(this.#sandboxOf(netns), { rules: undefined, isPrepared: false });
    this.wasCaptured = false;
  }

  async offer(): Promise<void> {
    await this.#step('offer');
    await this.hold;
    if (!this.isZtunnelThere) throw cniErrors.AMBIT_CNI_NO_ZTUNNEL('no ztunnel');
    const workload = this.enrolment!.describe('cluster.local');
    if (workload === undefined) return;
    const sandbox = this.#sandboxOf(this.enrolment!.netns!);
    if (sandbox.isAwaited && !sandbox.isPrepared) this.violations.push('a pod might start uncaptured');
    this.carry(sandbox);
  }

  carry(sandbox: Sandbox): void {
    sandbox.wasCarried = true;
    this.carried = sandbox;
  }

  /** ztunnel stops, or starts and takes what the agent tells it. */
  restartZtunnel(isThere: boolean): void {
    this.carried = undefined;
    this.isZtunnelThere = isThere;
    if (!isThere || this.enrolment!.describe('cluster.local')?.netnsFd === undefined) return;
    this.carry(this.#sandboxOf(this.enrolment!.netns!));
    this.enrolment!.onProxyAnswer(undefined);
  }

  async withdraw(): Promise<void> {
    await this.#step('withdraw', false);
    const { carried, enrolment } = this;
    const hasRules = carried?.rules !== undefined && carried.rules !== LEAVING;
    const isCaptured = carried?.exists && hasRules && !carried.isEnding;
    if (isCaptured && enrolment!.wish.kind === 'out' && enrolment!.wish.isAlive) {
      this.violations.push('ztunnel lost a pod whose rules are in force');
    }
    this.carried = undefined;
  }

  async exemptProbes(_uid: string, ips: readonly IpAddress[]): Promise<void> {
    await this.#step('exempt');
    for (const ip of ips) this.exempt.add(ip);
  }

  async endProbeExemption(_uid: string, ips: readonly IpAddress[]): Promise<void> {
    await this.#step('unexempt');
    for (const ip of ips) this.exempt.delete(ip);
  }

  async annotate(_pod: PodFacts, value: RedirectionAnnotation | null): Promise<void> {
    await this.#step('annotate');
    if (value === 'enabled' && !this.#sandboxOf(this.enrolment!.netns!).wasCarried) {
      this.violations.push('a pod was called enabled that ztunnel never carried');
    }
    this.annotation = value ?? undefined;
  }

  async #step(name: StepName, mayFail = true): Promise<void> {
    await delay(0);
    if (mayFail) this.#call(name);
    else this.calls.push(name);
  }

  #call(name: StepName): void {
    this.calls.push(name);
    const error = this.failing.get(name);
    if (error !== undefined) throw error;
  }

  #sandboxOf(netns: PodNetns): Sandbox {
    return this.sandboxes.find((one) => one.inode === netns.namespace.inode)!;
  }
}

function podWith(ips: readonly string[], annotation?: string): PodFacts {
  return podFacts({
    kind: 'Pod',
    metadata: {
      name: 'web',
      namespace: 'shop',
      uid: UID,
      generation: 1,
      ...(annotation && { annotations: { [ANNOTATION]: annotation } }),
    },
    spec: { containers: [], nodeName: 'n1' },
    status: { phase: 'Running', podIPs: ips.map((ip) => ({ ip })) },
  });
}

const IN: EnrolmentWish = { kind: 'in', options: podOptions({}, true).options };
const OTHER_IN: EnrolmentWish = { kind: 'in', options: podOptions({}, false).options };
const OUT: EnrolmentWish = { kind: 'out', isAlive: true };
const ENDED: EnrolmentWish = { kind: 'out', isAlive: false };
const GONE: EnrolmentWish = { kind: 'gone' };

interface Setup {
  readonly world: World;
  readonly enrolment: PodEnrolment;
  readonly findings: EnrolmentFinding[];
  readonly done: () => boolean;
}

function setUp(
  options: { ips?: string[]; annotation?: string; wish?: EnrolmentWish; isTakenOver?: boolean } = {},
): Setup {
  const world = new World();
  world.annotation = options.annotation;
  const findings: EnrolmentFinding[] = [];
  let isDone = false;
  const enrolment = new PodEnrolment({
    pod: podWith(options.ips ?? ['10.0.0.1'], options.annotation),
    wish: options.wish ?? IN,
    steps: world,
    isTakenOver: options.isTakenOver ?? false,
    events: {
      onState() {},
      onFailure() {},
      onFinding: (_, finding) => findings.push(finding),
      onDone: () => {
        isDone = true;
      },
    },
  });
  world.enrolment = enrolment;
  return { world, enrolment, findings, done: () => isDone };
}

async function reaches(enrolment: PodEnrolment, kind: string): Promise<void> {
  await eventually(`${kind}, not ${enrolment.state.kind}`, () => enrolment.state.kind === kind);
  await enrolment.whenAtRest();
}

test('a pod at work is enrolled in order: ztunnel, probes, rules, annotation', async () => {
  const { world, enrolment } = setUp();
  world.addSandbox('10.0.0.1');
  enrolment.kick();
  await reaches(enrolment, 'enrolled');
  assert.deepEqual(world.calls, ['find', 'offer', 'exempt', 'rules', 'annotate']);
  assert.equal(world.annotation, 'enabled');
  enrolment.stop();
});

test('a pod that opts out leaves in order: peers, capture, ztunnel, rules, probes, annotation; and its namespace is closed', async () => {
  const { world, enrolment, done } = setUp();
  const sandbox = world.addSandbox('10.0.0.1');
  enrolment.kick();
  await reaches(enrolment, 'enrolled');
  world.calls.length = 0;
  enrolment.update(podWith(['10.0.0.1'], 'enabled'), OUT);
  await reaches(enrolment, 'out');
  assert.deepEqual(world.calls, ['annotate', 'release', 'withdraw', 'remove', 'unexempt', 'annotate']);
  assert.deepEqual([sandbox.rules, world.annotation, world.open, done()], [undefined, undefined, 0, true]);
});

test('an ended pod leaves by its last addresses, and nobody enters its namespace', async () => {
  const { world, enrolment } = setUp();
  world.addSandbox('10.0.0.1');
  enrolment.kick();
  await reaches(enrolment, 'enrolled');
  world.calls.length = 0;
  enrolment.update(podWith([], 'enabled'), ENDED);
  await reaches(enrolment, 'out');
  assert.deepEqual(world.calls, ['withdraw', 'unexempt', 'annotate']);
  assert.equal(world.exempt.size, 0);
});

test('a pod that is deleted while ztunnel is asked leaves nothing', async () => {
  const { world, enrolment, done } = setUp();
  world.addSandbox('10.0.0.1');
  const { promise, resolve } = Promise.withResolvers<void>();
  world.hold = promise;
  enrolment.kick();
  await eventually('offered', () => world.calls.includes('offer'));
  enrolment.update(enrolment.pod, GONE);
  resolve();
  await reaches(enrolment, 'out');
  assert.deepEqual([world.carried, world.exempt.size, world.open, done()], [undefined, 0, 0, true]);
  assert.ok(!world.calls.includes('annotate'));
});

test('rules that cannot be applied are rolled back, so that the pod is not cut off', async () => {
  const { world, enrolment } = setUp();
  const sandbox = world.addSandbox('10.0.0.1');
  world.failing.set('rules', cniErrors.AMBIT_CNI_NO_IPTABLES('no ip6tables'));
  enrolment.kick();
  await reaches(enrolment, 'failed');
  assert.deepEqual(enrolment.state, {
    kind: 'failed',
    code: 'AMBIT_CNI_NO_IPTABLES',
    message: 'no ip6tables',
    retryable: false,
    after: 'pending',
  });
  assert.deepEqual(world.calls, ['find', 'offer', 'exempt', 'rules', 'remove']);
  assert.equal(sandbox.rules, undefined);
  world.failing.clear();
  await enrolment.verify();
  assert.equal(enrolment.state.kind, 'enrolled');
  enrolment.stop();
});

test('a pod whose new sandbox was left without rules is carried first before it gets them', async () => {
  const { world, enrolment } = setUp();
  const former = world.addSandbox('10.0.0.1');
  enrolment.kick();
  await reaches(enrolment, 'enrolled');
  former.exists = false;
  world.addSandbox('10.0.0.2');
  world.failing.set('rules', cniErrors.AMBIT_CNI_NO_IPTABLES('no ip6tables'));
  enrolment.update(podWith(['10.0.0.2'], 'enabled'), IN);
  await reaches(enrolment, 'failed');
  world.failing.clear();
  world.calls.length = 0;
  await enrolment.verify();
  assert.deepEqual(world.calls, ['offer', 'unexempt', 'exempt', 'rules']);
  assert.deepEqual(world.violations, []);
  enrolment.stop();
});

test('a sandbox that a pod left and lost is not waited for: its addresses lead to the next one', async () => {
  const { world, enrolment } = setUp();
  const ip = parseIp('10.0.0.1')!;
  const lost = world.addSandbox('10.0.0.1');
  await enrolment.enrolSandbox(lost.path, [ip], 1000);
  enrolment.update(podWith(['10.0.0.1'], 'enabled'), OUT);
  await reaches(enrolment, 'out');
  lost.exists = false;
  const next = world.addSandbox('10.0.0.1');
  enrolment.update(podWith(['10.0.0.1']), IN);
  await reaches(enrolment, 'enrolled');
  assert.equal(world.carried, next);
  enrolment.stop();
});

test('without a ztunnel a pod at work is left alone, and enrolled once one takes it', async () => {
  const { world, enrolment } = setUp();
  const sandbox = world.addSandbox('10.0.0.1');
  world.isZtunnelThere = false;
  enrolment.kick();
  await reaches(enrolment, 'failed');
  assert.equal(enrolment.state.kind === 'failed' && enrolment.state.after, 'pending');
  assert.equal(sandbox.rules, undefined);
  await eventually('pending', () => world.annotation === 'pending');
  world.isZtunnelThere = true;
  await reaches(enrolment, 'enrolled');
  assert.equal(world.annotation, 'enabled');
  enrolment.stop();
});

test('a pod that an earlier agent enrolled is taken over: looked at, not offered again, not annotated again', async () => {
  const { world, enrolment, findings } = setUp({ annotation: 'enabled', isTakenOver: true });
  const sandbox = world.addSandbox('10.0.0.1');
  sandbox.rules = optionsKey((IN as EnrolmentWish & { kind: 'in' }).options);
  assert.deepEqual(enrolment.describe('cluster.local')?.netnsFd, undefined);
  enrolment.kick();
  assert.equal(enrolment.describe('cluster.local')?.netnsFd, 7);
  await reaches(enrolment, 'enrolled');
  assert.deepEqual(world.calls, ['find', 'rules', 'exempt']);
  assert.deepEqual(findings, []);
  enrolment.stop();
});

test('a pod that is called enabled and has no rules is found out and repaired', async () => {
  const { world, enrolment, findings } = setUp({ annotation: 'enabled', isTakenOver: true });
  const sandbox = world.addSandbox('10.0.0.1');
  enrolment.kick();
  await reaches(enrolment, 'enrolled');
  assert.deepEqual(
    findings.map((finding) => finding.kind),
    ['rules-missing'],
  );
  assert.notEqual(sandbox.rules, undefined);
  enrolment.stop();
});

test('a pod that opted out while no agent ran loses its rules', async () => {
  const { world, enrolment } = setUp({ annotation: 'enabled', wish: OUT, isTakenOver: true });
  const sandbox = world.addSandbox('10.0.0.1');
  sandbox.rules = 'left';
  world.exempt.add(parseIp('10.0.0.1')!);
  enrolment.kick();
  await reaches(enrolment, 'out');
  assert.deepEqual(
    [sandbox.rules, world.exempt.size, world.annotation, world.open],
    [undefined, 0, undefined, 0],
  );
});

test('a proxy that is missing is found and the pod is offered again', async () => {
  const { world, enrolment, findings } = setUp();
  const sandbox = world.addSandbox('10.0.0.1');
  enrolment.kick();
  await reaches(enrolment, 'enrolled');
  world.carried = undefined;
  await enrolment.verify();
  assert.deepEqual(
    findings.map((finding) => finding.kind),
    ['proxy-missing'],
  );
  assert.equal(world.carried, sandbox);
  enrolment.stop();
});

test('a rule of somebody else that lets traffic past redirection is told of once', async () => {
  const { world, enrolment, findings } = setUp();
  world.addSandbox('10.0.0.1');
  enrolment.kick();
  await reaches(enrolment, 'enrolled');
  world.bypasses = ['nat OUTPUT: -j ACCEPT'];
  await enrolment.verify();
  await enrolment.verify();
  assert.deepEqual(
    findings.map(({ kind, detail }) => [kind, detail]),
    [['capture-bypassed', 'nat OUTPUT: -j ACCEPT']],
  );
  assert.equal(enrolment.state.kind, 'enrolled');
  enrolment.stop();
});

test('a sandbox that is made anew is enrolled in place of the old one', async () => {
  const { world, enrolment, findings } = setUp();
  const old = world.addSandbox('10.0.0.1');
  enrolment.kick();
  await reaches(enrolment, 'enrolled');
  old.exists = false;
  const next = world.addSandbox('10.0.0.2');
  enrolment.update(podWith(['10.0.0.2'], 'enabled'), IN);
  await eventually('taken over', () => world.carried === next && enrolment.state.kind === 'enrolled');
  await enrolment.whenAtRest();
  assert.deepEqual([...world.exempt], ['10.0.0.2']);
  assert.deepEqual(
    findings.map((finding) => finding.kind),
    ['sandbox-replaced'],
  );
  assert.equal(world.open, 1);
  enrolment.stop();
});

test('a sandbox that the plugin reports is enrolled before the object has an address', async () => {
  const { world, enrolment } = setUp({ ips: [] });
  enrolment.kick();
  await enrolment.whenAtRest();
  assert.deepEqual([enrolment.state.kind, world.calls], ['pending', []]);
  const sandbox = world.addSandbox();
  await enrolment.enrolSandbox(sandbox.path, [parseIp('10.0.0.9')!], 5_000);
  assert.deepEqual(world.calls, ['find', 'rules', 'offer', 'exempt']);
  assert.deepEqual([...world.exempt], ['10.0.0.9']);
  sandbox.ips = [parseIp('10.0.0.9')!];
  enrolment.update(podWith(['10.0.0.9']), IN);
  await enrolment.whenAtRest();
  assert.deepEqual([enrolment.state.kind, world.carried], ['enrolled', sandbox]);
  enrolment.stop();
});

test('a plugin that waits for a new sandbox is not answered by the state of the old one', async () => {
  const { world, enrolment } = setUp();
  world.addSandbox('10.0.0.1');
  enrolment.kick();
  await reaches(enrolment, 'enrolled');
  const next = world.addSandbox();
  await enrolment.enrolSandbox(next.path, [parseIp('10.0.0.2')!], 5_000);
  assert.equal(world.carried, next);
  assert.notEqual(next.rules, undefined);
  enrolment.stop();
});

test('a plugin that waits is told why in the end, and at once when there is no hope', async () => {
  const { world, enrolment } = setUp({ ips: [] });
  const sandbox = world.addSandbox();
  world.isZtunnelThere = false;
  const late = enrolment.enrolSandbox(sandbox.path, [], 100);
  await assert.rejects(late, /not in the mesh: AMBIT_CNI_NO_ZTUNNEL: no ztunnel/);
  world.failing.set('rules', cniErrors.AMBIT_CNI_NO_IPTABLES('none'));
  await assert.rejects(enrolment.enrolSandbox(world.addSandbox().path, [], 600_000), /AMBIT_CNI_NO_IPTABLES/);
  world.failing.clear();
  const left = assert.rejects(enrolment.enrolSandbox(world.addSandbox().path, [], 600_000), {
    code: 'AMBIT_CNI_POD_CHANGED',
  });
  enrolment.update(enrolment.pod, GONE);
  await left;
  enrolment.stop();
});

test('a sandbox that is torn down is taken from ztunnel before its path is gone', async () => {
  const { world, enrolment } = setUp();
  const sandbox = world.addSandbox('10.0.0.1');
  enrolment.kick();
  await reaches(enrolment, 'enrolled');
  enrolment.endSandbox('/ns/other');
  assert.equal(enrolment.state.kind, 'enrolled');
  enrolment.endSandbox(sandbox.path);
  await reaches(enrolment, 'failed');
  assert.deepEqual([world.carried, world.exempt.size, world.open], [undefined, 0, 0]);
  enrolment.stop();
});

test('a pod that is being deleted and has lost its sandbox is let go without a word', async () => {
  const { world, enrolment, findings } = setUp();
  const sandbox = world.addSandbox('10.0.0.1');
  enrolment.kick();
  await reaches(enrolment, 'enrolled');
  enrolment.update({ ...enrolment.pod, isEnding: true }, IN);
  await enrolment.whenAtRest();
  assert.equal(enrolment.state.kind, 'enrolled');
  sandbox.exists = false;
  enrolment.endSandbox(sandbox.path);
  await reaches(enrolment, 'pending');
  assert.deepEqual([world.carried, world.exempt.size, world.open, findings], [undefined, 0, 0, []]);
  assert.equal(enrolment.standing.lastError, undefined);
  enrolment.update(enrolment.pod, GONE);
  await reaches(enrolment, 'out');
});

type Action = (setup: Setup) => void | Promise<void>;

const anyError = fc.constantFrom(
  cniErrors.AMBIT_CNI_PROGRAM_FAILED('broken'),
  cniErrors.AMBIT_CNI_RULES_NOT_IN_FORCE('broken'),
  cniErrors.AMBIT_CNI_NO_IPTABLES('broken'),
  cniErrors.AMBIT_CNI_ZTUNNEL_REFUSED('broken'),
);

let address = 1;

const anyAction: fc.Arbitrary<Action> = fc.oneof(
  fc.tuple(fc.constantFrom(...STEP_NAMES), anyError).map(
    ([step, error]): Action =>
      ({ world }) => {
        world.failing.set(step, error);
      },
  ),
  fc.constant<Action>(({ world }) => world.failing.clear()),
  fc.boolean().map(
    (isThere): Action =>
      ({ world }) =>
        world.restartZtunnel(isThere),
  ),
  fc.constantFrom(IN, OTHER_IN, OUT, ENDED).map(
    (wish): Action =>
      ({ world, enrolment }) => {
        // No pod comes back from a terminal phase.
        const next = enrolment.wish === ENDED ? ENDED : wish;
        enrolment.update(podWith(enrolment.pod.ips, world.annotation), next);
      },
  ),
  fc.constant<Action>(({ world, enrolment }) => {
    for (const sandbox of world.sandboxes) sandbox.exists = false;
    const ip = `10.1.${++address >> 8}.${address & 255}`;
    world.addSandbox(ip);
    enrolment.update(podWith([ip], world.annotation), enrolment.wish);
  }),
  fc.constant<Action>(({ world, enrolment }) => {
    for (const sandbox of world.sandboxes) sandbox.exists = false;
    const ip = parseIp(`10.1.${++address >> 8}.${address & 255}`)!;
    const sandbox = world.addSandbox(ip);
    sandbox.isAwaited = true;
    // kubelet takes a sandbox away that was refused.
    const refused = () => Object.assign(sandbox, { isAwaited: false, isEnding: true });
    enrolment.enrolSandbox(sandbox.path, [ip], 20).catch(refused);
  }),
  fc.constant<Action>(({ world }) => {
    const sandbox = world.sandboxes.at(-1);
    if (sandbox !== undefined) sandbox.rules = undefined;
  }),
  fc.constant<Action>(({ world, enrolment }) => {
    const sandbox = world.sandboxes.at(-1);
    if (sandbox === undefined) return;
    Object.assign(sandbox, { isEnding: true, isAwaited: false });
    enrolment.endSandbox(sandbox.path);
  }),
  fc.constant<Action>(({ enrolment }) => void enrolment.verify()),
  fc.constant<Action>(({ enrolment }) => enrolment.onProxyAnswer(cniErrors.AMBIT_CNI_ZTUNNEL_REFUSED('no'))),
  fc.integer({ min: 0, max: 8 }).map(
    (ms): Action =>
      () =>
        delay(ms),
  ),
);

/** Whatever happened: once nothing fails any more, the pod is where it is wanted and nothing else is left. */
async function assertSettles(setup: Setup): Promise<void> {
  const { world, enrolment } = setup;
  world.failing.clear();
  world.isZtunnelThere = true;
  if (world.sandboxes.at(-1)?.exists !== true) world.addSandbox('10.9.9.9');
  const sandbox = world.sandboxes.at(-1)!;
  enrolment.update(podWith(sandbox.ips, world.annotation), enrolment.wish);
  const wish = enrolment.wish;
  const kind = wish.kind === 'in' ? 'enrolled' : 'out';
  await enrolment.verify();
  await eventually(
    `settled as ${kind}: ${JSON.stringify(enrolment.state)}`,
    () => enrolment.state.kind === kind,
  );
  await enrolment.verify();
  assert.equal(enrolment.state.kind, kind);
  if (wish.kind === 'in') {
    assert.deepEqual([sandbox.rules, world.carried], [optionsKey(wish.options), sandbox]);
    assert.deepEqual([...world.exempt], [...sandbox.ips]);
    assert.deepEqual([world.annotation, world.open], ['enabled', 1]);
  } else {
    // A namespace that is torn down takes its rules along, and the object may never have had its address.
    const mustBeFree = wish.kind === 'out' && wish.isAlive && !sandbox.isEnding;
    const isLeft = mustBeFree && sandbox.rules !== undefined;
    assert.deepEqual([isLeft, world.carried, [...world.exempt], world.open], [false, undefined, [], 0]);
    assert.equal(world.annotation, undefined);
  }
}

test('whatever happens and fails in any order, a pod ends where it is wanted, and no promise is broken on the way', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyAction, { maxLength: 25 }), async (actions) => {
      const setup = setUp();
      setup.world.addSandbox('10.0.0.1');
      setup.enrolment.kick();
      try {
        for (const action of actions) await action(setup);
        await assertSettles(setup);
        assert.deepEqual(setup.world.violations, []);
      } finally {
        setup.enrolment.stop();
      }
    }),
    { numRuns: 150 },
  );
});
