/** What the commands of installation write to a real API server, and what they leave alone; nobody runs the pods. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { LAUNCHER, type Outcome, run } from '../support/ambit-command.ts';
import { AGENT_TOKEN, BareApiServer } from '../support/cluster/bare-api-server.ts';

let api: BareApiServer;
let kubeconfig: string;

before(async () => {
  api = await BareApiServer.start();
  kubeconfig = api.kubeconfig();
});

after(() => api?.[Symbol.asyncDispose]());

function ambit(...args: readonly string[]): Promise<Outcome> {
  return run(LAUNCHER, args, { env: { KUBECONFIG: kubeconfig } });
}

async function succeeds(...args: readonly string[]): Promise<Outcome> {
  const outcome = await ambit(...args);
  assert.equal(outcome.code, 0, outcome.stderr);
  return outcome;
}

interface Stored {
  readonly metadata: {
    readonly resourceVersion: string;
    readonly managedFields: readonly { readonly manager: string; readonly operation: string }[];
  };
  readonly spec: { readonly replicas?: number };
}

function stored(kind: string, name: string): Stored {
  const args = ['get', kind, name, '-n', 'ambit-system', '-o', 'json', '--show-managed-fields'];
  return JSON.parse(api.kubectl(args));
}

function names(kind: string): string[] {
  return api.kubectl(['get', kind, '-A', '-o', 'name']).trim().split('\n');
}

test('before an installation the cluster is checked, and nothing but warnings is no failure', async () => {
  const { stdout } = await succeeds('check', '--pre', '-o', 'json');
  const report = JSON.parse(stdout);
  assert.equal(report.success, true);
  assert.deepEqual(
    report.sections.map((section: { name: string }) => section.name),
    ['Kubernetes', 'surroundings'],
  );
});

test('a dry run by the server stores nothing', async () => {
  const { stderr } = await succeeds('install', '--dry-run=server');
  assert.match(stderr, /clusterrole\/ambit-cni applied \(dry run\)/);
  assert.match(stderr, /daemonset\/ambit-system\/ambit-cni cannot be checked before its namespace is there/);
  assert.ok(!names('namespaces').includes('namespace/ambit-system'));
  assert.ok(!names('clusterroles').includes('clusterrole.rbac.authorization.k8s.io/ambit-cni'));
});

test('a resource definition that others have installed is left as it is', async () => {
  const { stdout } = await ambit('install', '--dry-run');
  const definition = parseAllDocuments(stdout)
    .map((document) => document.toJS())
    .find(({ metadata }) => metadata.name === 'serviceentries.networking.istio.io');
  definition.metadata.labels = { release: 'istio' };
  api.kubectl(['create', '-f', '-'], JSON.stringify(definition));
  const { stderr } = await succeeds('install', '--no-wait');
  assert.match(stderr, /serviceentries.networking.istio.io is there already and belongs to others: left/);
  const labels = api.kubectl([
    'get',
    'crd',
    'serviceentries.networking.istio.io',
    '-o',
    'jsonpath={.metadata.labels}',
  ]);
  assert.deepEqual(JSON.parse(labels), { release: 'istio' });
});

test('what is applied belongs to the field manager ambit, and applying it again changes nothing', async () => {
  const first = stored('daemonset', 'ambit-cni');
  assert.deepEqual(
    first.metadata.managedFields.map(({ manager, operation }) => [manager, operation]),
    [['ambit', 'Apply']],
  );
  await succeeds('install', '--no-wait');
  assert.equal(stored('daemonset', 'ambit-cni').metadata.resourceVersion, first.metadata.resourceVersion);
});

test('a field that somebody else manages is a conflict that names both, and can be taken over', async () => {
  const patch = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'ambit-controlplane' },
    spec: { replicas: 5 },
  };
  const apply = [
    'apply',
    '-n',
    'ambit-system',
    '--server-side',
    '--field-manager=scaler',
    '--force-conflicts',
    '-f',
    '-',
  ];
  api.kubectl(apply, JSON.stringify(patch));
  const conflict = await ambit('install', '--no-wait');
  assert.equal(conflict.code, 1);
  assert.match(conflict.stderr, /deployment\/ambit-system\/ambit-controlplane: .*\.spec\.replicas.*scaler/);
  assert.match(conflict.stderr, /AMBIT_CLI_CONFLICT: /);
  assert.equal(stored('deployment', 'ambit-controlplane').spec.replicas, 5);
  await succeeds('install', '--no-wait', '--force-conflicts', '--replicas', '3');
  assert.equal(stored('deployment', 'ambit-controlplane').spec.replicas, 3);
});

test('the settings of an installation stay until they are changed', async () => {
  const trustDomain = () => {
    const { spec } = JSON.parse(
      api.kubectl(['get', 'deployment', 'ambit-controlplane', '-n', 'ambit-system', '-o', 'json']),
    );
    const variables: { name: string; value?: string }[] = spec.template.spec.containers[0].env;
    return variables.find(({ name }) => name === 'TRUST_DOMAIN')?.value;
  };
  await succeeds('install', '--no-wait', '--trust-domain', 'corp');
  assert.equal(trustDomain(), 'corp');
  await succeeds('install', '--no-wait', '--set', 'logLevel=debug');
  assert.equal(trustDomain(), 'corp');
  const values = api.kubectl([
    'get',
    'configmap',
    'ambit-values',
    '-n',
    'ambit-system',
    '-o',
    'jsonpath={.data}',
  ]);
  assert.match(values, /replicas: 3.*trustDomain: corp.*logLevel: debug/);
});

test('an installation that does not become ready says what it waits for', async () => {
  const { code, stderr } = await ambit('install', '--timeout', '1s', '--force-conflicts');
  assert.equal(code, 1);
  assert.match(stderr, /deployment\/ambit-controlplane: not yet seen by its controller/);
  assert.match(stderr, /AMBIT_CLI_NOT_READY: /);
});

test('an upgrade from a version that is too far away is refused before anything is written', async () => {
  const before = stored('daemonset', 'ambit-cni').metadata.resourceVersion;
  const label = '{"spec":{"template":{"metadata":{"labels":{"app.kubernetes.io/version":"7.2.0"}}}}}';
  api.kubectl(['patch', 'deployment', 'ambit-controlplane', '-n', 'ambit-system', '-p', label]);
  const { code, stderr } = await ambit('upgrade');
  assert.equal(code, 1);
  assert.match(stderr, /7\.2\.0 is installed, which is newer than/);
  assert.match(stderr, /AMBIT_CLI_UNSUPPORTED_UPGRADE: /);
  assert.equal(stored('daemonset', 'ambit-cni').metadata.resourceVersion, before);
});

test('an upgrade of what is not installed is refused', async () => {
  const { code, stderr } = await ambit('upgrade', '-n', 'elsewhere');
  assert.deepEqual([code, /AMBIT_CLI_NOT_INSTALLED/.test(stderr)], [1, true]);
});

test('a mesh that does not run fails the checks of its parts, and of nothing before them', async () => {
  const { code, stdout } = await ambit('check', '-o', 'json');
  assert.equal(code, 1);
  const failed = JSON.parse(stdout)
    .sections.flatMap((section: { checks: { code: string; result: string }[] }) => section.checks)
    .filter((check: { result: string }) => check.result === 'error')
    .map((check: { code: string }) => check.code);
  assert.ok(failed.includes('AMBIT_CHECK_CONTROL_PLANE'));
  assert.ok(!failed.includes('AMBIT_CHECK_INSTALLED') && !failed.includes('AMBIT_CHECK_API'));
});

test('who may not read the cluster is told what is missing, and nothing further is tried', async () => {
  const powerless = api.kubeconfig(AGENT_TOKEN);
  const { code, stdout } = await run(LAUNCHER, ['check'], { env: { KUBECONFIG: powerless } });
  assert.equal(code, 1);
  assert.match(stdout, /\[AMBIT_CHECK_PERMISSIONS\]\n {6}you may not list nodes\n/);
  assert.match(stdout, /surroundings\n {2}– \d+ not looked at: AMBIT_CHECK_PERMISSIONS/);
});

test('a server that cannot be reached is a failed check with the exit code of nobody reached', async () => {
  const nobody = api.kubeconfig(undefined, 1);
  const { code, stdout } = await run(LAUNCHER, ['check', '-o', 'json'], { env: { KUBECONFIG: nobody } });
  assert.equal(code, 3);
  assert.equal(JSON.parse(stdout).sections[0].checks[0].result, 'error');
  const version = await run(LAUNCHER, ['version'], { env: { KUBECONFIG: nobody } });
  assert.equal(version.code, 3);
  assert.match(version.stdout, /^client: \d/);
});

test('requests are told on stderr when that is asked for', async () => {
  const { stdout, stderr } = await succeeds('version', '-v');
  assert.match(stdout, /no part of the mesh runs in the cluster/);
  assert.match(stderr, /^GET \/api\/v1\/namespaces\/ambit-system\/pods \d+ ms$/m);
});

test('an uninstallation asks a person, and goes no further where there is none', async () => {
  const { code, stderr } = await ambit('uninstall');
  assert.equal(code, 2);
  assert.match(stderr, /nobody can be asked here: give --yes/);
  assert.ok(names('namespaces').includes('namespace/ambit-system'));
});
