/** The CNI plugin run for real, against a real socket of the agent and a real HTTPS server for the cluster. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import type { SandboxRequest } from '../../../../src/cni/enrolment-manager.ts';
import { cniErrors } from '../../../../src/cni/errors.ts';
import { PluginKubeconfig } from '../../../../src/cni/install/plugin-kubeconfig.ts';
import { pluginEntry } from '../../../../src/cni/plugin/plugin-config.ts';
import { PluginServer } from '../../../../src/cni/plugin-server.ts';
import { makeLeaf, makeRoot } from '../../../support/certificates.ts';
import { InstalledPlugin, sandboxEnvironment } from '../../../support/installed-plugin.ts';

const WEB = { namespace: 'shop', name: 'web', uid: 'uid-web' };
const plugin = new InstalledPlugin();

before(() => plugin.executable.ensure());
after(() => plugin.close());

/** An agent's run directory on the node. */
class RunDir {
  readonly path = mkdtempSync(join(tmpdir(), 'run-'));
  readonly requests: SandboxRequest[] = [];
  readonly ends: string[] = [];
  readonly #cleanUps: (() => void)[] = [];

  constructor(t: TestContext) {
    t.after(() => {
      for (const cleanUp of this.#cleanUps) cleanUp();
      rmSync(this.path, { recursive: true });
    });
  }

  get config(): object {
    const settings = {
      selectors: [{ namespaceSelector: { matchLabels: { 'istio.io/dataplane-mode': 'ambient' } } }],
      excludedNamespaces: ['kube-system'],
    };
    return pluginEntry({ runDir: this.path, settings });
  }

  async startAgent(enrol: () => Promise<object> = async () => ({})): Promise<void> {
    const server = new PluginServer({
      path: join(this.path, 'pluginevent.sock'),
      enrol: (request) => {
        this.requests.push(request);
        return enrol();
      },
      endSandbox: (path) => this.ends.push(path),
      onAnswer: () => {},
    });
    await server.listen();
    this.#cleanUps.push(() => server.close());
  }

  /** An API server that knows these objects by path, and the kubeconfig that leads to it. */
  async startCluster(objects: Readonly<Record<string, object>>): Promise<void> {
    const root = makeRoot('cluster');
    const leaf = makeLeaf(root, { dnsName: 'localhost' });
    const tls = { cert: leaf.chainPem, key: leaf.privateKeyPem };
    const server = createHttpsServer(tls, (request, response) => {
      const isAllowed = request.headers.authorization === 'Bearer secret';
      const object = objects[request.url ?? ''];
      response.writeHead(isAllowed ? (object === undefined ? 404 : 200) : 401);
      response.end(JSON.stringify(object ?? {}));
    });
    server.listen(0, 'localhost');
    await once(server, 'listening');
    this.#cleanUps.push(() => server.close());
    await new PluginKubeconfig({
      path: join(this.path, 'ambit-cni-kubeconfig'),
      server: `https://localhost:${(server.address() as AddressInfo).port}`,
      caPem: root.certificatePem,
      issueToken: async () => ({ token: 'secret', expiresAtMs: Date.now() + 3_600_000 }),
    }).ensure();
  }
}

function objectsOf(mode: string, pod: object = {}): Record<string, object> {
  return {
    '/api/v1/namespaces/shop': { metadata: { name: 'shop', labels: { 'istio.io/dataplane-mode': mode } } },
    '/api/v1/namespaces/shop/pods/web': {
      metadata: { name: 'web', namespace: 'shop', uid: 'uid-web', ...pod },
    },
  };
}

function errorIn(output: string): { code: number; msg: string; details: string; cniVersion: string } {
  return JSON.parse(output);
}

test('a pod that the agent takes gets the result of the plugins before', async (t) => {
  const run = new RunDir(t);
  await run.startAgent();
  const { status, output } = await plugin.add(run.config, WEB);
  assert.equal(status, 0, output);
  assert.deepEqual(JSON.parse(output).ips, [{ address: '10.0.0.1/24', gateway: '10.0.0.254', interface: 0 }]);
  assert.deepEqual(run.requests, [
    { namespace: 'shop', name: 'web', netnsPath: '/var/run/netns/cni-1', ips: ['10.0.0.1'], uid: 'uid-web' },
  ]);
});

test('a pod that the agent refuses does not start, and kubelet gets the agent’s words', async (t) => {
  const run = new RunDir(t);
  await run.startAgent(async () => {
    throw cniErrors.AMBIT_CNI_POD_NOT_ENROLLED('no ztunnel is connected');
  });
  await run.startCluster(objectsOf('none'));
  const { status, output } = await plugin.add(run.config, WEB);
  assert.equal(status, 1);
  const { code, msg, details } = errorIn(output);
  assert.deepEqual([code, details], [11, 'AMBIT_CNI_POD_NOT_ENROLLED']);
  assert.match(msg, /shop\/web.*no ztunnel is connected/);
});

test('without the agent the API server decides: who stays out starts, who belongs into the mesh does not', async (t) => {
  const cases: readonly (readonly [Record<string, object>, boolean])[] = [
    [objectsOf('none'), true],
    [objectsOf('ambient'), false],
    [objectsOf('ambient', { labels: { 'app.kubernetes.io/part-of': 'ambit' } }), true],
    [objectsOf('none', { uid: 'another' }), false],
    [objectsOf('none', { uid: 'x', annotations: { 'kubernetes.io/config.mirror': 'uid-web' } }), true],
    [{}, false],
  ];
  const judge = async ([objects, isFine]: (typeof cases)[number]) => {
    const run = new RunDir(t);
    await run.startCluster(objects);
    const { status, output } = await plugin.add(run.config, WEB);
    assert.equal(status === 0, isFine, output);
    if (!isFine) assert.match(errorIn(output).msg, /shop\/web .*does not start before the node agent/);
  };
  await Promise.all(cases.map(judge));
});

test('an agent that is back after a few seconds is waited for', async (t) => {
  const run = new RunDir(t);
  const added = plugin.add(run.config, WEB);
  await setTimeoutAsync(1_000);
  await run.startAgent();
  assert.equal((await added).status, 0);
  assert.equal(run.requests.length, 1);
});

test('an agent that has not heard of the pod yet leaves it to the API server', async (t) => {
  const run = new RunDir(t);
  await run.startAgent(async () => {
    throw cniErrors.AMBIT_CNI_POD_UNKNOWN('not known');
  });
  assert.equal((await plugin.add(run.config, WEB)).status, 1);
  await run.startCluster(objectsOf('none'));
  assert.equal((await plugin.add(run.config, WEB)).status, 0);
});

test('without agent and API server nobody starts but pods of excluded namespaces and what is no pod', async (t) => {
  const run = new RunDir(t);
  const { status, output } = await plugin.add(run.config, WEB);
  assert.equal(status, 1);
  assert.match(errorIn(output).msg, /may belong into the mesh .*kubeconfig/);
  assert.equal((await plugin.add(run.config, { ...WEB, namespace: 'kube-system' })).status, 0);
  const config = { cniVersion: '1.0.0', ...run.config, prevResult: { ips: [] } };
  assert.equal((await plugin.run(sandboxEnvironment('ADD'), config)).status, 0);
});

test('an expired token, another server and a broken kubeconfig are no answer', async (t) => {
  const check = async (text: string) => {
    const run = new RunDir(t);
    await run.startCluster(objectsOf('none'));
    writeFileSync(join(run.path, 'ambit-cni-kubeconfig'), text);
    assert.equal((await plugin.add(run.config, WEB)).status, 1, text);
  };
  const texts = ['', '{}', '{"clusters":[{"cluster":{"server":"https://localhost:1"}}]}', '[1'];
  await Promise.all(texts.map(check));
});

test('taking a sandbox away succeeds as often as it is asked, with the agent and without', async (t) => {
  const run = new RunDir(t);
  const config = { cniVersion: '0.4.0', ...run.config };
  const nothing = { status: 0, output: '' };
  assert.deepEqual(await plugin.run(sandboxEnvironment('DEL'), config), nothing);
  await run.startAgent();
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(await plugin.run(sandboxEnvironment('DEL'), config), nothing);
  }
  assert.deepEqual(run.ends, Array(3).fill('/var/run/netns/cni-1'));
  const { CNI_NETNS: _, ...withoutNetns } = sandboxEnvironment('DEL');
  assert.deepEqual(await plugin.run(withoutNetns, { ...config, cniVersion: '9.9.9' }), nothing);
});

test('the other commands answer as the specification says', async (t) => {
  const { config } = new RunDir(t);
  const versions = await plugin.run({ CNI_COMMAND: 'VERSION' }, { cniVersion: '1.1.0' });
  assert.deepEqual(JSON.parse(versions.output), {
    cniVersion: '1.1.0',
    supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'],
  });
  const full = { cniVersion: '1.1.0', ...config, prevResult: {} };
  for (const command of ['CHECK', 'GC', 'STATUS']) {
    const environment = command === 'CHECK' ? sandboxEnvironment('CHECK') : { CNI_COMMAND: command };
    assert.deepEqual(await plugin.run(environment, full), { status: 0, output: '' }, command);
  }
});

test('what breaks the specification is told with its code', async (t) => {
  const { config } = new RunDir(t);
  const fine = { cniVersion: '1.0.0', ...config, prevResult: {} };
  const add = sandboxEnvironment('ADD');
  const cases: readonly (readonly [Record<string, string>, object | string, number])[] = [
    [{}, fine, 4],
    [{ ...add, CNI_COMMAND: 'add' }, fine, 4],
    [{ ...add, CNI_CONTAINERID: '' }, fine, 4],
    [{ ...add, CNI_CONTAINERID: '../x' }, fine, 4],
    [{ CNI_COMMAND: 'CHECK' }, fine, 4],
    [add, '{"cniVersion":', 6],
    [add, '[]', 6],
    [add, { ...fine, cniVersion: 1 }, 6],
    [add, { ...fine, cniVersion: '0.1.0' }, 1],
    [add, { ...fine, cniVersion: '2.0.0' }, 1],
    [add, { ...fine, prevResult: undefined }, 7],
    [add, { ...fine, runDir: 'relative' }, 7],
    [add, { ...fine, excludeNamespaces: [1] }, 7],
    [add, { ...fine, enablementSelectors: [{ unknown: {} }] }, 7],
    [{ CNI_COMMAND: 'STATUS' }, { cniVersion: '1.1.0' }, 7],
  ];
  for (const [environment, input, code] of cases) {
    const { status, output } = await plugin.run(environment, input);
    const error = errorIn(output);
    assert.deepEqual([status, error.code], [1, code], `${JSON.stringify(environment)}: ${output}`);
    assert.ok(error.msg !== '' && error.cniVersion !== '');
  }
});
