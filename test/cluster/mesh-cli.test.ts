/** The commands on a mesh that works, and on one in which something was broken on purpose. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { CheckReport } from '../../src/cli/check/check-report.ts';
import { ambit, LAUNCHER, type Outcome, run } from '../support/ambit-command.ts';
import { Cluster } from '../support/cluster/cluster.ts';
import { clusterPod, toolsContainer } from '../support/cluster/cluster-manifests.ts';
import { Mesh } from '../support/cluster/mesh.ts';
import { AMBIENT, HTTP_PORT, namespaceManifest } from '../support/mesh-manifests.ts';

const NAMESPACE = 'mesh-cli';
const CNI_CONFIGURATION = '/etc/cni/net.d/10-testbed.conflist';

async function check(...args: readonly string[]): Promise<CheckReport> {
  const { stdout, stderr } = await ambit('check', '-o', 'json', ...args);
  assert.ok(stdout.startsWith('{'), stderr);
  return JSON.parse(stdout);
}

/** `object: cause` of each finding of a check. */
function findingsOf(report: CheckReport, code: string): string[] {
  const checks = report.sections.flatMap((section) => section.checks);
  const findings = checks.find((one) => one.code === `AMBIT_CHECK_${code}`)?.findings ?? [];
  return findings.map(({ object, cause }) => `${object}: ${cause}`);
}

function some(texts: readonly string[], pattern: RegExp): void {
  assert.ok(
    texts.some((text) => pattern.test(text)),
    `none of ${JSON.stringify(texts)} matches ${pattern}`,
  );
}

async function rows(...args: readonly string[]): Promise<Record<string, string>[]> {
  const { code, stdout, stderr } = await ambit(...args, '-o', 'json');
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

describe('commands', () => {
  let cluster: Cluster;

  before(async () => {
    cluster = Cluster.current();
    await cluster.apply(namespaceManifest(NAMESPACE, AMBIENT));
    await cluster.apply(
      clusterPod({ name: 'server', namespace: NAMESPACE, node: 'node1' }),
      clusterPod({ name: 'client', namespace: NAMESPACE, node: 'node2', container: toolsContainer() }),
    );
    await cluster.podsReady(NAMESPACE, 2);
    await new Mesh(cluster).enrolled(NAMESPACE);
  });

  after(async () => {
    await cluster.deleteNamespace(NAMESPACE);
    cluster.dispose();
  });

  test('in a mesh that works no check fails', async () => {
    const report = await check('--wait', '60s');
    const failed = report.sections
      .flatMap((section) => section.checks)
      .filter((one) => one.result === 'error');
    assert.deepEqual(failed, []);
    assert.equal(report.success, true);
  });

  test('the status has a line for each node, with its agent, its proxy and its pods', async () => {
    const lines = await rows('status');
    assert.deepEqual(
      lines.map(({ node, agent, proxy, xds }) => [node, agent, proxy, xds]),
      ['node1', 'node2', 'node3'].map((node) => [node, 'ready', 'ready', 'synced']),
    );
  });

  test('the version of every part is told', async () => {
    const { client, parts } = JSON.parse((await ambit('version', '-o', 'json')).stdout);
    assert.deepEqual(
      parts.map(({ part, version }: { part: string; version: string }) => [part, version]),
      ['ambit-controlplane', 'ambit-cni', 'ambit-ztunnel'].map((part) => [part, client]),
    );
  });

  test('the configuration of a proxy is found by its own name, by a pod of its node, and by the node', async () => {
    const proxy = await new Mesh(cluster).podOn('ztunnel', 'node1');
    for (const which of [[proxy.metadata.name], ['server', '-n', NAMESPACE], ['--node', 'node1']]) {
      const workloads = await rows('ztunnel-config', 'workload', ...which, '--workload-namespace', NAMESPACE);
      assert.deepEqual(
        workloads.map(({ name, node, protocol }) => [name, node, protocol]),
        [
          ['client', 'node2', 'HBONE'],
          ['server', 'node1', 'HBONE'],
        ],
      );
    }
    const certificates = await rows('zc', 'certificate', '--node', 'node1');
    assert.ok(certificates.some(({ name }) => name === `spiffe://cluster.local/ns/${NAMESPACE}/sa/default`));
    const missing = await ambit('zc', 'workload', 'nobody', '-n', NAMESPACE);
    assert.deepEqual([missing.code, /there is no pod nobody/.test(missing.stderr)], [2, true]);
  });

  test('log levels of one proxy are changed and set back', async () => {
    const level = (...args: readonly string[]) => ambit('zc', 'log', '--node', 'node3', ...args);
    assert.equal((await level('--level', 'info,dns=debug')).code, 0);
    assert.match((await level()).stdout, /^node3: current log level is .*dns=debug/);
    assert.match((await level('--reset')).stdout, /^node3: current log level is info\n$/);
  });

  test('kubectl runs it as a plugin, and completes its words', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ambit-plugin-'));
    try {
      symlinkSync(LAUNCHER, join(folder, 'kubectl-ambit'));
      symlinkSync(join(dirname(LAUNCHER), 'kubectl_complete-ambit'), join(folder, 'kubectl_complete-ambit'));
      const env = { PATH: `${folder}:${process.env.PATH}` };
      const kubectl = (...args: readonly string[]): Promise<Outcome> => run('kubectl', args, { env });
      assert.equal(
        (await kubectl('ambit', 'version', '--client')).stdout,
        (await ambit('version', '--client')).stdout,
      );
      assert.equal((await kubectl('ambit', 'no-such-command')).code, 2);
      const words = await kubectl('__complete', 'ambit', 'status', '--node', 'node');
      assert.deepEqual(words.stdout.split('\n').slice(0, 4), ['node1', 'node2', 'node3', ':4']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('rules that somebody removes from a pod are named, and are back', async () => {
    const enter = await cluster.enterPod(NAMESPACE, 'client');
    const [program, ...args] = enter as [string, ...string[]];
    const flush = await run(program, [...args, 'iptables', '-t', 'nat', '-F', 'ISTIO_OUTPUT']);
    assert.equal(flush.code, 0, flush.stderr);
    some(
      findingsOf(await check(), 'RULES'),
      new RegExp(`^pod/${NAMESPACE}/client: rules-missing at .*ISTIO_OUTPUT`),
    );
    const caller = await cluster.callerIn(NAMESPACE, 'client');
    const url = `http://${await cluster.podIp(NAMESPACE, 'server')}:${HTTP_PORT}/`;
    assert.equal((await caller.echo(url)).name, 'server');
  });

  test('a CNI configuration from which the plugin was removed is named, and mended', async () => {
    const editor = `const fs = require('fs'); const path = '${CNI_CONFIGURATION}';
      const list = JSON.parse(fs.readFileSync(path));
      list.plugins = list.plugins.filter((one) => one.type !== 'ambit-cni');
      fs.writeFileSync(path + '.new', JSON.stringify(list)); fs.renameSync(path + '.new', path);`;
    await cluster.nodes.run('node1', process.execPath, '-e', editor);
    await cluster.until('the plugin is back', async () =>
      (await cluster.nodes.run('node1', 'cat', CNI_CONFIGURATION)).includes('ambit-cni'),
    );
    some(
      findingsOf(await check(), 'CNI_PLUGIN'),
      /^node\/node1: was changed by somebody else, and mended at /,
    );
  });

  test('an agent that does not answer is named with its node', async () => {
    const { containerID } = (await new Mesh(cluster).podOn('cni', 'node3')).status.containerStatuses![0]!;
    const pid = cluster.nodes.pidOf('node3', containerID!);
    process.kill(pid, 'SIGSTOP');
    try {
      const report = await check('--request-timeout', '5s');
      assert.equal(report.success, false);
      some(
        findingsOf(report, 'AGENTS'),
        /^node\/node3: (does not answer: .*no answer within 5 s|container cni runs but is not ready)/,
      );
      const line = (await ambit('status', '--request-timeout', '5s', '--no-headers')).stdout;
      assert.match(line, /^node3 +(silent|not ready) +ready /m);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  test('a NetworkPolicy that keeps the peers of a pod out is named', async () => {
    const policy = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'only-http', namespace: NAMESPACE },
      spec: { podSelector: { matchLabels: { app: 'server' } }, ingress: [{ ports: [{ port: HTTP_PORT }] }] },
    };
    await cluster.apply(policy);
    const text = `pod/${NAMESPACE}/server: ingress on 15008 is not allowed by ${NAMESPACE}/only-http`;
    assert.deepEqual(findingsOf(await check(), 'NETWORK_POLICY'), [text]);
    await cluster.delete(policy);
    assert.deepEqual(findingsOf(await check(), 'NETWORK_POLICY'), []);
  });

  test('a policy that nobody can enforce as it is written is named', async () => {
    const policy = {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'only-get', namespace: NAMESPACE },
      spec: { action: 'DENY', rules: [{ to: [{ operation: { methods: ['GET'] } }] }] },
    };
    await cluster.apply(policy);
    await cluster.until('the policy is judged', async () =>
      findingsOf(await check(), 'POLICIES_ENFORCED').some((text) =>
        text.startsWith(`authorizationpolicy/${NAMESPACE}/only-get: ZtunnelAccepted: `),
      ),
    );
    await cluster.delete(policy);
  });

  test('an upgrade to the version that is there goes through every part and disturbs none', async () => {
    const uids = async () => (await cluster.pods('ambit-system')).map((pod) => pod.metadata.uid).sort();
    const before = await uids();
    const { code, stderr } = await ambit('upgrade');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /is installed; settings may change/);
    const parts = [...stderr.matchAll(/✓ \w+\/(ambit-\w+): \d of \d ready/g)].map((match) => match[1]);
    assert.deepEqual(parts, ['ambit-controlplane', 'ambit-cni', 'ambit-ztunnel']);
    assert.deepEqual(await uids(), before);
  });
});
