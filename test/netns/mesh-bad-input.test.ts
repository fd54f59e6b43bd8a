/** What nobody should hand to a running mesh: each is answered with a code and a place, and calls go on. */

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Environment } from '../../src/sandbox/client/environment.ts';
import { type CallLoop, callFromPod } from '../support/call-loop.ts';
import {
  AMBIENT,
  clientManifest,
  type Manifest,
  namespaceManifest,
  podManifest,
  policyManifest,
  TCP_PORT,
} from '../support/mesh-manifests.ts';
import { until } from '../support/sandbox-commands.ts';
import { SandboxSession } from '../support/sandbox-session.ts';

const MANIFESTS = [
  namespaceManifest('shop', AMBIENT),
  clientManifest({ name: 'buyer', namespace: 'shop', node: 'node1' }),
  podManifest({ name: 'seller', namespace: 'shop', node: 'node2' }),
];
/** Pods that are deleted at some moment of their enrolment, and how far these moments are apart. */
const SHORT_LIVED = 20;
const STEP_MS = 40;

describe('bad input to a running mesh', () => {
  let session: SandboxSession;
  let calls: CallLoop;

  before(async () => {
    session = await SandboxSession.start({ name: 'bad-input', manifests: MANIFESTS });
    await session.enrolled('shop');
    const buyer = { namespace: 'shop', name: 'buyer' };
    const host = await session.podIp('shop', 'seller');
    calls = callFromPod(session.commands, buyer, { host, port: TCP_PORT });
  });
  after(async () => {
    calls?.stop();
    await session?.dispose();
  });
  afterEach(async () => {
    await calls.succeeded(Date.now());
    assert.deepEqual(calls.failures(), []);
  });

  const apply = (input: string) => session.commands.run(['apply', '-f', '-'], { input });
  const policy = (spec: Manifest) => JSON.stringify(policyManifest('shop', 'odd', spec));
  const removePolicy = () => session.remove(policyManifest('shop', 'odd', {}));

  async function problems(): Promise<string> {
    const page = ['curl', '-s', 'http://127.0.0.1:15014/debug/problems'];
    return session.commands.must('exec', 'controlplane', '-n', 'ambit-system', '--', ...page);
  }

  for (const [what, input, place] of [
    ['YAML that is none', 'kind: Pod\nmetadata: {name: x\n', /standard input:3: /],
    [
      'a value that does not exist',
      policy({ action: 'DENIED' }),
      /standard input:1: .*spec\.action must be one of/,
    ],
    ['a field of another type', policy({ rules: 5 }), /standard input:1: .*spec\.rules must be a list/],
  ] as const) {
    test(`${what} is refused with its line, and nothing of it is applied`, async () => {
      const { code, stderr } = await apply(input);
      assert.equal(code, 1);
      assert.match(stderr, place);
      assert.match(stderr, /AMBIT_SANDBOX_MANIFEST_INVALID/);
      await assert.rejects(session.object('authorizationpolicy', 'shop', 'odd'), {
        code: 'AMBIT_SANDBOX_NOT_FOUND',
      });
    });
  }

  test('an unknown field is told to who applies it and to the operator, and the rest of the object holds', async () => {
    const source = { namespaces: ['nowhere'], colour: 'blue' };
    const { code, stderr } = await apply(policy({ action: 'DENY', rules: [{ from: [{ source }] }] }));
    assert.equal(code, 0);
    assert.match(stderr, /standard input:1: .*source\.colour is not a field of this kind/);
    await session.everyProxy('there is a policy', ({ policies }) =>
      policies.some(({ name }) => name === 'odd'),
    );
    assert.match(await problems(), /AMBIT_OBJECTS_UNKNOWN_FIELD[\s\S]*source\.colour/);
    await removePolicy();
  });

  test('a file that breaks under the control plane leaves the last good state, and is told with its line', async () => {
    const { objects } = await session.commands.json<Environment>('env');
    const path = join(objects, 'by-hand.yaml');
    const good = policy({ action: 'DENY', rules: [{ from: [{ source: { namespaces: ['nowhere'] } }] }] });
    const isThere = ({ policies }: { readonly policies: readonly { name: string }[] }) =>
      policies.some(({ name }) => name === 'odd');
    writeFileSync(path, good);
    await session.everyProxy('there is a policy', isThere);
    writeFileSync(path, `${good.slice(0, -2)}\n  broken: [`);
    await until('it is told', async () =>
      /AMBIT_OBJECTS_SYNTAX[\s\S]*by-hand\.yaml:2/.test(await problems()),
    );
    await session.everyProxy('the policy stays', isThere);
    rmSync(path);
    await session.everyProxy('the policy is gone', (dump) => !isThere(dump));
    await until('all is well', async () => !(await problems()).includes('by-hand'));
  });

  test('a policy with HTTP in it says in its status what of it is enforced', async () => {
    const rules = [{ to: [{ operation: { methods: ['DELETE'] } }] }];
    await apply(policy({ action: 'DENY', rules }));
    const condition = await until('a status', async () => {
      const { status } = await session.object('authorizationpolicy', 'shop', 'odd');
      const { conditions = [] } = (status ?? {}) as { conditions?: { type: string; message: string }[] };
      return conditions.find(({ type }) => type === 'ZtunnelAccepted');
    });
    assert.match(condition.message, /methods/);
    await removePolicy();
  });

  test('pods that are deleted in the middle of their enrolment leave nothing, and hold nobody up', async () => {
    const pods = Array.from({ length: SHORT_LIVED }, (_, i) =>
      podManifest({ name: `brief-${i}`, namespace: 'shop', node: 'node2', serviceAccount: 'brief' }),
    );
    await Promise.all(
      pods.map(async (pod, i) => {
        await session.apply(pod);
        await delay(i * STEP_MS);
        await session.remove(pod);
      }),
    );
    await session.apply(podManifest({ name: 'lasting', namespace: 'shop', node: 'node2' }));
    await session.podReady('shop', 'lasting');
    await until('no proxy knows them', async () =>
      Object.values((await session.dump('node2')).workloadState).every(
        ({ info }) => !info.name.startsWith('brief-'),
      ),
    );
    const node = await session.callerOn('node2');
    await until('the agent has forgotten them', async () => {
      const { body } = await node.get('http://127.0.0.1:8000/enrolment');
      return !body.includes('brief-');
    });
    const set = await session.commands.must('node', 'exec', 'node2', '--', 'ipset', 'save');
    assert.match(set, /istio-inpod-probes-v4/);
    assert.equal((await session.pods('shop')).length, 3);
    const enrolled = set.match(/^add istio-inpod-probes-v4 /gm) ?? [];
    assert.equal(enrolled.length, 2, set);
  });
});
