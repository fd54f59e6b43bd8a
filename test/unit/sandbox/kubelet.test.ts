/** The kubelet's decisions: what a container runs, what a pod's status says, when a probe counts. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { IpAddress } from '../../../src/base/ip.ts';
import type { Container, StoredPod } from '../../../src/sandbox/api/kube-object.ts';
import { containerCommand, expandReferences } from '../../../src/sandbox/kubelet/container-command.ts';
import type { ContainerState, ContainerStatus } from '../../../src/sandbox/kubelet/container-state.ts';
import { podStatus } from '../../../src/sandbox/kubelet/pod-status.ts';
import { type ProbeAnswer, ProbeLoop, type ProbeSpec } from '../../../src/sandbox/kubelet/probe-loop.ts';

function pod(container: Partial<Container>, more: object = {}): StoredPod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web',
      namespace: 'shop',
      uid: 'u-1',
      generation: 1,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { app: 'web' },
    },
    spec: { nodeName: 'node1', containers: [{ name: 'app', image: 'host', ...container }], ...more },
    status: { podIP: '10.244.1.2', podIPs: [{ ip: '10.244.1.2' }] },
  } as unknown as StoredPod;
}

function commandOf(container: Partial<Container>) {
  const one = pod(container);
  return containerCommand(one, one.spec!.containers[0]!);
}

test('a container of the host’s file system runs its command with its own environment only', () => {
  const command = commandOf({
    command: ['echo', '$(GREETING)'],
    args: ['$$(GREETING)', '$(UNKNOWN)'],
    env: [
      { name: 'NAME', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
      { name: 'GREETING', value: 'hello $(NAME) of $(IP)' },
    ],
  });
  assert.equal(command.kind, 'command');
  if (command.kind !== 'command') return;
  // Only what comes before it in the list is known to a variable.
  assert.deepEqual(command.argv, ['echo', 'hello web of $(IP)', '$(GREETING)', '$(UNKNOWN)']);
  assert.equal(command.env.HOSTNAME, 'web');
  assert.equal(command.env.USER, undefined);
});

test('the echo image brings its own command, which args complete and command replaces', () => {
  const argv = (container: Partial<Container>) => {
    const command = commandOf({ image: 'ambit/echo:1.0', ...container });
    return command.kind === 'command' ? command.argv.slice(-2) : command.message;
  };
  assert.deepEqual(argv({}), ['echo', 'server']);
  assert.deepEqual(argv({ args: ['--http=80'] }), ['echo', '--http=80']);
  assert.deepEqual(argv({ command: ['ambit', 'echo'] }), ['ambit', 'echo']);
});

test('what a sandbox cannot run is said in the words of Kubernetes', () => {
  const reason = (container: Partial<Container>) => {
    const command = commandOf(container);
    return command.kind === 'fault' ? `${command.reason}: ${command.message}` : 'runs';
  };
  assert.match(reason({ image: 'nginx:1.27' }), /^ErrImagePull: there is no image nginx:1\.27 in a sandbox/);
  assert.match(reason({}), /^CreateContainerConfigError: image host has no command/);
  const secret = { secretKeyRef: { name: 's', key: 'k' } };
  assert.match(
    reason({ command: ['x'], env: [{ name: 'P', valueFrom: secret }] }),
    /env P: valueFrom other than/,
  );
  assert.match(reason({ command: ['x'], envFrom: [{ configMapRef: { name: 'c' } }] }), /envFrom/);
});

test('references are replaced once, never in what they brought', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (before, value) => {
      const text = before.replaceAll('$', '');
      assert.equal(expandReferences(`${text}$(A)`, { A: value }), `${text}${value}`);
      assert.equal(expandReferences(text, { A: value }), text);
    }),
  );
});

function status(state: ContainerState, more: Partial<ContainerStatus> = {}): ContainerStatus {
  const common = {
    name: 'app',
    image: 'host',
    imageID: 'host',
    started: true,
    restartCount: 0,
    lastState: {},
  };
  return { ...common, ready: false, state, ...more };
}

const WAITING: ContainerState = { waiting: { reason: 'ContainerCreating' } };
const RUNNING: ContainerState = { running: { startedAt: 'x' } };
function ended(exitCode: number) {
  const reason = exitCode === 0 ? ('Completed' as const) : ('Error' as const);
  return { terminated: { exitCode, reason, startedAt: 'x', finishedAt: 'y' } };
}

function phaseOf(containers: readonly ContainerStatus[], more: object = {}): unknown {
  const facts = { hostIps: [], ips: ['10.244.1.2' as IpAddress], startTime: 'x', containers };
  return podStatus(pod({}, more), facts).phase;
}

test('the phase of a pod follows from its containers and its restart policy', () => {
  assert.equal(phaseOf([status(RUNNING), status(WAITING)]), 'Pending');
  assert.equal(phaseOf([status(RUNNING), status(WAITING, { lastState: ended(1) })]), 'Running');
  assert.equal(phaseOf([status(ended(0))]), 'Running');
  assert.equal(phaseOf([status(ended(0))], { restartPolicy: 'OnFailure' }), 'Succeeded');
  assert.equal(phaseOf([status(ended(1))], { restartPolicy: 'OnFailure' }), 'Running');
  assert.equal(phaseOf([status(ended(0)), status(ended(1))], { restartPolicy: 'Never' }), 'Failed');
  assert.equal(phaseOf([status(ended(0)), status(RUNNING)], { restartPolicy: 'Never' }), 'Running');
});

test('a pod is ready when all its containers are; the time of a condition changes only with the condition', () => {
  const facts = { hostIps: [], ips: [], startTime: 'x', containers: [status(RUNNING, { ready: true })] };
  const first = podStatus(pod({}), facts) as { conditions: Record<string, string>[] };
  const ready = first.conditions.find((one) => one.type === 'Ready')!;
  assert.equal(ready.status, 'True');
  const old = { ...ready, lastTransitionTime: '2020-01-01T00:00:00Z' };
  const known = { ...pod({}), status: { conditions: [old] } } as unknown as StoredPod;
  const time = (containers: readonly ContainerStatus[]) => {
    const { conditions } = podStatus(known, { ...facts, containers }) as {
      conditions: Record<string, string>[];
    };
    return conditions.find((one) => one.type === 'Ready')?.lastTransitionTime;
  };
  assert.equal(time(facts.containers), '2020-01-01T00:00:00Z');
  assert.notEqual(time([status(RUNNING)]), '2020-01-01T00:00:00Z');
});

/** Runs a probe on answers given in advance; resolves with the verdicts when these are used up. */
function verdicts(
  t: TestContext,
  spec: ProbeSpec,
  answers: readonly boolean[],
  eager = true,
): Promise<boolean[]> {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const heard: boolean[] = [];
  let asked = 0;
  return new Promise((resolve) => {
    const loop = new ProbeLoop({
      spec,
      eager,
      onVerdict: (answer) => heard.push(answer.ok),
      ask: async (): Promise<ProbeAnswer> => {
        if (asked === answers.length) {
          loop.stop();
          resolve(heard);
        }
        return { ok: answers[asked++] ?? false, message: '' };
      },
    });
    const tick = () => {
      t.mock.timers.tick(1_000_000);
      if (asked <= answers.length) setImmediate(tick);
    };
    tick();
  });
}

test('a probe counts when it has come often enough in a row', async (t) => {
  const spec = { failureThreshold: 2, successThreshold: 2, periodSeconds: 1 };
  const answers = [true, false, true, true, true, false, true, false, false, false];
  assert.deepEqual(await verdicts(t, spec, answers, false), [true, false, false]);
});
