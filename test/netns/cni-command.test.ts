/** `ambit cni` as a process: its flags, its end, and the clean-up. */

import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { eventuallyAnswers } from '../support/eventually.ts';
import { NODE_NAME, NodeWorld } from '../support/node-world.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { NETNS_FOLDER } from '../support/pod-namespace.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const NODE_FLAGS = ['--disable-warning=ExperimentalWarning', MAIN, 'cni'];
const HEALTH_PORT = 18000;

function flagsFor(node: NodeWorld): string[] {
  const common = ['--objects', node.objects, '--node', NODE_NAME, '--netns-dir', NETNS_FOLDER];
  return [
    ...common,
    '--host-netns',
    node.host.path,
    '--zds',
    node.zdsPath,
    '--plugin-socket',
    node.pluginPath,
  ];
}

async function startProcess(node: NodeWorld): Promise<ChildProcess> {
  const ports = ['--health-port', String(HEALTH_PORT), '--metrics-port', '18014'];
  const child = spawn(process.execPath, [...NODE_FLAGS, ...flagsFor(node), ...ports], { stdio: 'ignore' });
  await eventuallyAnswers('ready', async () => (await fetch(`http://127.0.0.1:${HEALTH_PORT}/readyz`)).ok);
  return child;
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<unknown> {
  const closed = once(child, 'close');
  child.kill(signal);
  return (await closed)[0];
}

async function stateOf(name: string): Promise<string | undefined> {
  const response = await fetch(`http://127.0.0.1:${HEALTH_PORT}/enrolment`);
  const { pods } = (await response.json()) as { pods: { name: string; state: string }[] };
  return pods.find((pod) => pod.name === name)?.state;
}

inOwnNamespaces(import.meta.filename, () => {
  test('the process leaves everything in force when it ends, its successor takes over, and clean-up leaves no trace', async () => {
    const node = new NodeWorld();
    const pod = node.makeSandbox('10.0.0.1', 'fd00::1');
    const [podBefore, hostBefore] = [pod.fingerprint(), node.host.fingerprint()];
    node.writePod('web', { ips: ['10.0.0.1', 'fd00::1'] });

    const first = await startProcess(node);
    await node.connectZtunnel();
    await eventuallyAnswers('enrolled', async () => (await stateOf('web')) === 'enrolled');
    const [podEnrolled, hostEnrolled] = [pod.fingerprint(), node.host.fingerprint()];
    assert.notEqual(podEnrolled, podBefore);
    assert.equal(await stop(first, 'SIGTERM'), 0);
    assert.deepEqual([pod.fingerprint(), node.host.fingerprint()], [podEnrolled, hostEnrolled]);

    const second = await startProcess(node);
    assert.equal(await stateOf('web'), 'enrolled');
    assert.equal(await stop(second, 'SIGINT'), 0);
    assert.deepEqual([pod.fingerprint(), node.host.fingerprint()], [podEnrolled, hostEnrolled]);

    const args = [...NODE_FLAGS, 'cleanup', ...flagsFor(node)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    assert.match(stdout, /redirection removed.*\n(.*\n)*.*cleaned up.*failures=0/);
    assert.deepEqual([pod.fingerprint(), node.host.fingerprint()], [podBefore, hostBefore]);
    assert.equal(node.host.run('ipset list -name'), '');
    node.close();
  });

  test('a flag or an environment variable that is wrong ends the process with its name', async () => {
    const run = async (args: string[], env: Record<string, string> = {}) => {
      const child = promisify(execFile)(process.execPath, [...NODE_FLAGS, ...args], {
        env: { ...process.env, ...env },
      });
      const { code, stdout, stderr } = await child.then(
        () => ({ code: 0, stdout: '', stderr: '' }),
        (thrown) => thrown as { code: number; stdout: string; stderr: string },
      );
      return { code, output: `${stdout}${stderr}` };
    };
    for (const [args, env, words] of [
      [[], { KUBECONFIG: '/no/such/kubeconfig' }, /AMBIT_KUBE_CONFIG_INVALID/],
      [
        ['--objects', '/no/such/folder', '--health-port', '0', '--metrics-port', '0'],
        {},
        /AMBIT_OBJECTS_FOLDER_UNREADABLE/,
      ],
      [['--objects', '/run', '--health-port', 'x'], {}, /x is not a port/],
      [['--objects', '/run', '--enablement-selectors', '{}'], {}, /enablement selectors/],
      [['--objects', '/run'], { AMBIT_IPTABLES: 'ipfw' }, /AMBIT_IPTABLES/],
    ] as const) {
      const { code, output } = await run([...args], env);
      assert.notEqual(code, 0);
      assert.match(output, words);
    }
  });
});
