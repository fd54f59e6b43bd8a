/** How a sandbox begins and ends: nothing is left behind, whatever ended it, and what goes wrong is told. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { findProgram } from '../../src/sandbox/host/tools.ts';
import { DEADLINE_MS, SandboxCommands, USERS, until } from '../support/sandbox-commands.ts';

type User = (typeof USERS)[number];

const SERVER = `
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec:
  containers:
    - name: app
      image: ambit/echo
      readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
`;

function fixture(t: TestContext, user: User, name?: string): SandboxCommands {
  const sandbox = new SandboxCommands(user, name);
  t.after(() => sandbox.dispose());
  return sandbox;
}

function manifest(sandbox: SandboxCommands, text = SERVER): string {
  const path = join(sandbox.folder, 'manifest.yaml');
  writeFileSync(path, text, { mode: 0o644 });
  return path;
}

/** What a sandbox could leave on the machine, but for its state directory. */
function traces(sandbox: SandboxCommands): object {
  const processes = readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const zombie = /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return !zombie && command.includes(sandbox.folder) ? [command] : [];
    } catch {
      return [];
    }
  });
  const links = spawnSync('ip', ['-o', 'link'], {
    encoding: 'utf8',
    env: { PATH: '/usr/sbin:/sbin:/usr/bin' },
  });
  return {
    processes,
    mounts: readFileSync('/proc/self/mounts', 'utf8').includes(sandbox.folder),
    links: links.stdout.split('\n').filter((line) => /\bbr0\b|\bnode\d|\bveth/.test(line)),
  };
}

const NOTHING = { processes: [], mounts: false, links: [] };

/** All that is in the temporary directory of this user. */
function files(sandbox: SandboxCommands): readonly string[] {
  return readdirSync(sandbox.folder).filter((name) => name !== 'compile-cache' && name !== 'manifest.yaml');
}

/** The process that stands for the sandbox outside. */
function ownerOf(sandbox: SandboxCommands): number {
  const uid = readdirSync(sandbox.folder).find((name) => name.startsWith('ambit-'))!;
  const text = readFileSync(join(sandbox.folder, uid, sandbox.name, 'owner.json'), 'utf8');
  return (JSON.parse(text) as { pid: number }).pid;
}

async function daemonOf(sandbox: SandboxCommands): Promise<number> {
  return (await sandbox.json<{ daemon: { pid: number } }>('env')).daemon.pid;
}

function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? -1)));
}

async function untilTracesGone(sandbox: SandboxCommands): Promise<void> {
  await until('every trace is gone', async () => JSON.stringify(traces(sandbox)) === JSON.stringify(NOTHING));
}

/** Needs namespaces of the user's own, in every way a user may have them. */
function testEnds(user: User): void {
  test('down leaves no process, mount, link or file', async (t) => {
    const sandbox = fixture(t, user);
    await sandbox.must('up', '--no-mesh', '--detach', '-f', manifest(sandbox));
    assert.notDeepEqual(files(sandbox), []);
    await sandbox.must('down');
    assert.deepEqual(traces(sandbox), NOTHING);
    assert.deepEqual(files(sandbox), []);
    assert.match((await sandbox.run(['down'])).stderr, /there is no sandbox/);
  });

  test('after kill -9 of the daemon, or of what holds it, nothing runs and up starts anew', async (t) => {
    const sandbox = fixture(t, user);
    for (const victim of [daemonOf, async () => ownerOf(sandbox)]) {
      await sandbox.must('up', '--no-mesh', '--detach', '-f', manifest(sandbox));
      process.kill(await victim(sandbox), 'SIGKILL');
      await untilTracesGone(sandbox);
      const { code, stderr } = await sandbox.run(['get', 'pods']);
      assert.equal(code, 3);
      assert.match(stderr, /AMBIT_SANDBOX_NOT_UP/);
    }
    await sandbox.must('up', '--no-mesh', '--detach', '-f', manifest(sandbox));
    assert.match(await sandbox.must('get', 'pods'), /web +1\/1 +Running/);
  });

  test('a sandbox in the foreground ends with Ctrl-C, and also when its command is killed', async (t) => {
    const sandbox = fixture(t, user);
    for (const signal of ['SIGINT', 'SIGKILL'] as const) {
      const child = sandbox.start(['up', '--no-mesh', '-f', manifest(sandbox)]);
      const ended = exitOf(child);
      let progress = '';
      child.stderr!.setEncoding('utf8').on('data', (text: string) => {
        progress += text;
      });
      await until('the sandbox is up', async () => progress.includes('press Ctrl-C'));
      assert.match(progress, /pod default\/web ready on node\d/);
      child.kill(signal);
      assert.equal(await ended, signal === 'SIGINT' ? 0 : -1);
      await untilTracesGone(sandbox);
      await until('no file is left', async () => files(sandbox).length === 0);
    }
  });
}

function testBeginnings(user: User): void {
  test('a second up of the same name is refused, another name is not', async (t) => {
    const one = fixture(t, user, 'one');
    await one.must('up', '--no-mesh', '--detach', '-f', manifest(one));
    const again = await one.run(['up', '--no-mesh', '--detach']);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /AMBIT_SANDBOX_ALREADY_UP/);
    const two = fixture(t, user, 'two');
    await two.must('up', '--no-mesh', '--detach', '--nodes', '1', '-f', manifest(two));
    const answers = await Promise.all(
      [one, two].map((one) => one.must('node', 'exec', 'node1', '--', 'curl', '-s', 'web')),
    );
    assert.deepEqual(
      answers.map((text) => JSON.parse(text).name),
      ['web', 'web'],
    );
    await two.must('down');
    assert.match(await one.must('get', 'nodes', '-o', 'name'), /node\/node2/);
  });

  test('a sandbox of one family has no other', async (t) => {
    for (const [family, vip, own] of [
      ['ipv6', 'fd00:10:96::', 'fd00:10:244:'],
      ['ipv4', '10.96.', '10.244.'],
    ] as const) {
      const sandbox = fixture(t, user);
      await sandbox.must('up', '--no-mesh', '--detach', '--ip-families', family, '-f', manifest(sandbox));
      const { spec } = await sandbox.json<{ spec: { clusterIPs: string[] } }>('get', 'svc', 'web');
      assert.equal(spec.clusterIPs.length, 1);
      assert.ok(spec.clusterIPs[0]!.startsWith(vip));
      const answer = JSON.parse(await sandbox.must('exec', 'web', '--', 'curl', '-s', 'http://web.default'));
      assert.ok(answer.destination.ip.startsWith(own));
      await sandbox.must('down');
    }
  });

  test('a broken manifest starts nothing', async (t) => {
    const sandbox = fixture(t, user);
    const path = manifest(sandbox, 'apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [}\n');
    const { code, stderr } = await sandbox.run(['up', '--no-mesh', '--detach', '-f', path]);
    assert.equal(code, 1);
    assert.match(stderr, /manifest\.yaml:4: .*\n.*AMBIT_SANDBOX_MANIFEST_INVALID/);
    assert.deepEqual(files(sandbox), []);
  });

  test('up tells which pods do not get ready, and why, and leaves them to be looked at', async (t) => {
    const sandbox = fixture(t, user);
    const pod = (name: string, container: object, spec: object = {}) =>
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name },
        spec: { ...spec, containers: [{ name: 'app', image: 'host', ...container }] },
      });
    const text = [
      pod('deaf', { command: ['sleep', '60'], readinessProbe: { tcpSocket: { port: 9 } } }),
      pod('foreign', { image: 'nginx' }),
      pod('crashing', { command: ['sh', '-c', 'echo out of luck; exit 1'] }),
      pod('lost', { command: ['true'] }, { nodeName: 'node9' }),
      pod('fine', { command: ['sleep', '60'] }),
    ].join('\n---\n');
    const up = await sandbox.run([
      'up',
      '--no-mesh',
      '--detach',
      '--timeout',
      '3',
      '-f',
      manifest(sandbox, text),
    ]);
    assert.equal(up.code, 1);
    assert.match(
      up.stderr,
      /default\/deaf: its probe fails: connect to 10\.244\.\d\.\d+ port 9: .*ECONNREFUSED/,
    );
    assert.match(up.stderr, /default\/foreign: ErrImagePull: there is no image nginx/);
    assert.match(up.stderr, /default\/crashing: .*out of luck/);
    assert.match(up.stderr, /default\/lost: there is no node node9; there are node1, node2/);
    assert.doesNotMatch(up.stderr, / {2}default\/fine:/);
    assert.match(await sandbox.must('get', 'pods'), /fine +1\/1 +Running/);
  });

  test('with a control plane of somebody else ours is left out, and the proxies are given that one', async (t) => {
    const sandbox = fixture(t, user);
    const root = join(sandbox.folder, 'manifest.yaml');
    writeFileSync(root, 'a root certificate', { mode: 0o644 });
    const proxy = 'echo "$XDS_ADDRESS $CA_ADDRESS $EXTRA"; cat "$XDS_ROOT_CA"; exec sleep infinity';
    const external = ['--xds', 'https://172.30.0.1:15012', '--ca-root', root, '--mesh-env', 'EXTRA=a=b c'];
    await sandbox.must('up', '--detach', '--nodes', '1', '--ztunnel', `node1=${proxy}`, ...external);
    assert.doesNotMatch(await sandbox.must('get', 'pods', '-A'), /controlplane/);
    const told = 'https://172.30.0.1:15012 https://172.30.0.1:15012 a=b c\na root certificate';
    await until('the proxy has started', async () => (await sandbox.must('logs', 'ztunnel')) === told);
    assert.equal((await sandbox.run(['restart', 'controlplane'])).code, 1);
  });

  test('wrong words are answered with exit code 2, a sandbox that is not there with 3', async (t) => {
    const sandbox = fixture(t, user);
    const code = async (...args: string[]) => (await sandbox.run(args)).code;
    assert.equal(await code('frobnicate'), 2);
    assert.equal(await code('up', '--nodes', 'many'), 2);
    assert.equal(await code('up', '--ztunnel', 'node9=true'), 2);
    assert.equal(await code('up', '--mesh-env', 'no value'), 2);
    assert.equal(await code('up', '--xds', 'https://x:1'), 2);
    assert.equal(await code('label', 'pod', 'web'), 2);
    assert.equal(await code('get', 'pods'), 3);
    assert.equal(await code('exec', 'web', '--', 'true'), 3);
    assert.deepEqual(files(sandbox), []);
  });
}

describe('the life of a sandbox', { concurrency: true }, () => {
  for (const user of USERS) {
    describe(`as ${user}`, { concurrency: false, timeout: DEADLINE_MS }, () => {
      testEnds(user);
      // What root and others have in common is tried once.
      if (user === 'ordinary user') testBeginnings(user);
    });
  }
});

/** Runs a script as root of a user namespace, in which something of the machine may be changed; $AMBIT is the program. */
function runIn(sandbox: SandboxCommands, script: string) {
  const main = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
  const AMBIT = `${process.execPath} --disable-warning=ExperimentalWarning ${main}`;
  const env = { ...process.env, TMPDIR: sandbox.folder, AMBIT };
  const command = ['--user', '--map-root-user', '--mount', 'sh', '-c', `set -e; ${script}`];
  return spawnSync('unshare', command, { encoding: 'utf8', env });
}

test('a machine that forbids namespaces is told which setting forbids them', (t) => {
  const sandbox = fixture(t, USERS[0]!);
  const { status, stderr } = runIn(
    sandbox,
    'echo 0 >/proc/sys/user/max_net_namespaces; $AMBIT sandbox up --detach',
  );
  assert.equal(status, 1, stderr);
  assert.match(stderr, /AMBIT_SANDBOX_NAMESPACES_FORBIDDEN/);
  assert.match(stderr, /user\.max_net_namespaces is 0: sysctl -w user\.max_net_namespaces=15000/);
});

test('a missing tool is named with its package', (t) => {
  const sandbox = fixture(t, USERS[0]!);
  const hide = `mount --bind /dev/null "$(readlink -f '${findProgram('ip')}')"`;
  const { status, stderr } = runIn(sandbox, `${hide}; $AMBIT sandbox up --detach`);
  assert.equal(status, 1, stderr);
  assert.match(stderr, /not installed on this machine: ip \(package iproute2\)/);
  assert.match(stderr, /AMBIT_SANDBOX_TOOL_MISSING/);
});

test('where /proc is partly hidden, as in containers, and cannot be mounted anew, a sandbox works all the same', (t) => {
  const sandbox = fixture(t, USERS[0]!);
  const steps = [
    'mount --bind /dev/null /proc/version',
    `$AMBIT sandbox up --no-mesh --detach --nodes 1 -f ${manifest(sandbox)}`,
    '$AMBIT sandbox exec web -- curl -s http://web.default',
    '$AMBIT sandbox down',
  ];
  const { status, stdout, stderr } = runIn(sandbox, steps.join('; '));
  assert.equal(status, 0, stderr);
  assert.equal(JSON.parse(stdout).name, 'web');
  assert.deepEqual(files(sandbox), []);
});
