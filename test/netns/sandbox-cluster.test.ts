/** What a cluster promises, in a sandbox without mesh: network, services, DNS, probes, restarts, exec. */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DEADLINE_MS, SandboxCommands, USERS, until } from '../support/sandbox-commands.ts';

const MANIFESTS = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: app
          image: ambit/echo
          args: ["--http", "8080", "--tcp", "9000", "--udp", "9001", "--greeting"]
          ports: [{ name: http, containerPort: 8080 }]
          readinessProbe: { httpGet: { path: /ready, port: http } }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec:
  ipFamilyPolicy: PreferDualStack
  selector: { app: web }
  ports:
    - { name: http, port: 80, targetPort: http }
    - { name: tcp, port: 9000 }
    - { name: udp, port: 9001, protocol: UDP }
---
apiVersion: v1
kind: Service
metadata: { name: web-headless, namespace: shop }
spec:
  clusterIP: None
  selector: { app: web }
  ports: [{ port: 8080 }]
---
apiVersion: v1
kind: Service
metadata: { name: nobody, namespace: shop }
spec:
  selector: { app: nobody }
  ports: [{ port: 80 }]
---
apiVersion: v1
kind: Pod
metadata: { name: client, namespace: shop }
spec:
  nodeName: node1
  containers: [{ name: app, image: host, command: [sleep, infinity] }]
`;

interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string; readonly labels: Record<string, string> };
  readonly spec: { readonly nodeName: string };
  readonly status: {
    readonly phase: string;
    readonly podIP: string;
    readonly podIPs: readonly { readonly ip: string }[];
    readonly conditions: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses: readonly {
      readonly restartCount: number;
      readonly ready: boolean;
      readonly state: Record<
        string,
        { readonly reason?: string; readonly message?: string; readonly exitCode?: number }
      >;
    }[];
  };
}

interface Calls {
  readonly ok: number;
  readonly failed: number;
  readonly responders: Record<string, number>;
  readonly errors: Record<string, number>;
}

/** Both sandboxes use the same addresses at the same time. */
describe('a cluster', { concurrency: true }, () => {
  for (const user of USERS)
    describe(`as ${user}`, { concurrency: false, timeout: DEADLINE_MS }, () => defineTests(user));
});

function defineTests(user: (typeof USERS)[number]): void {
  const sandbox = new SandboxCommands(user);

  before(async () => {
    writeFileSync(join(sandbox.folder, 'shop.yaml'), MANIFESTS, { mode: 0o644 });
    await sandbox.must('up', '--no-mesh', '--detach', '-f', join(sandbox.folder, 'shop.yaml'));
  });
  after(() => sandbox.dispose());

  async function apply(manifest: object): Promise<void> {
    await sandbox.mustWith({ input: JSON.stringify(manifest) }, 'apply', '-n', 'shop', '-f', '-');
  }

  function podManifest(
    name: string,
    container: object,
    more: { spec?: object; metadata?: object } = {},
  ): object {
    const containers = [{ name: 'app', image: 'host', ...container }];
    const metadata = { name, namespace: 'shop', ...more.metadata };
    return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers, ...more.spec } };
  }

  async function getPod(name: string): Promise<Pod> {
    return sandbox.json<Pod>('get', 'pod', name, '-n', 'shop');
  }

  async function podsOf(app: string): Promise<readonly Pod[]> {
    const { items } = await sandbox.json<{ items: Pod[] }>('get', 'pods', '-n', 'shop', '-l', `app=${app}`);
    return items;
  }

  async function isReady(name: string): Promise<boolean> {
    const { status } = await getPod(name);
    return status.conditions.some((one) => one.type === 'Ready' && one.status === 'True');
  }

  async function inClient(...command: readonly string[]): Promise<string> {
    return sandbox.must('exec', 'client', '-n', 'shop', '--', ...command);
  }

  async function call(...args: readonly string[]): Promise<Calls> {
    const command = ['ambit', 'echo', 'client', ...args, '--json', '--timeout', '3000'];
    const { stdout } = await sandbox.run(['exec', 'client', '-n', 'shop', '--', ...command]);
    return JSON.parse(stdout.toString('utf8')) as Calls;
  }

  test('pods of every node reach each other on every family and protocol, with their own source address', async () => {
    const pods = await podsOf('web');
    assert.deepEqual(pods.map((pod) => pod.spec.nodeName).sort(), ['node1', 'node2']);
    const targets = pods.flatMap(({ status }) =>
      status.podIPs.flatMap(({ ip }) => {
        const host = ip.includes(':') ? `[${ip}]` : ip;
        return [`http://${host}:8080`, `tcp://${host}:9000`, `udp://${host}:9001`];
      }),
    );
    assert.equal(targets.length, 12);
    const { ok, errors } = await call(...targets, '--count', '12');
    assert.deepEqual({ ok, errors }, { ok: 12, errors: {} });
    const client = await getPod('client');
    const remote = pods.find((pod) => pod.spec.nodeName === 'node2')!;
    const seen = JSON.parse(await inClient('curl', '-s', `http://${remote.status.podIP}:8080`));
    assert.equal(seen.source.ip, client.status.podIP);
    assert.equal(seen.node, 'node2');
  });

  test('a service is reached by its name and VIP on every protocol, from pods and nodes, and spreads its calls', async () => {
    const { ok, failed, responders } = await call('http://web', 'tcp://web:9000', '--count', '80');
    assert.deepEqual({ ok, failed }, { ok: 80, failed: 0 });
    assert.equal(Object.keys(responders).length, 2);
    const { spec } = await sandbox.json<{ spec: { clusterIPs: string[] } }>(
      'get',
      'svc',
      'web',
      '-n',
      'shop',
    );
    assert.equal(spec.clusterIPs.length, 2);
    const vips = spec.clusterIPs.map((ip) => (ip.includes(':') ? `[${ip}]` : ip));
    const byVip = await call(...vips.flatMap((ip) => [`http://${ip}`, `udp://${ip}:9001`]), '--count', '8');
    assert.deepEqual(byVip.errors, {});
    const fromNode = await sandbox.must(
      'node',
      'exec',
      'node2',
      '--',
      'curl',
      '-s',
      'http://web.shop.svc.cluster.local',
    );
    assert.equal(JSON.parse(fromNode).namespace, 'shop');
  });

  test('a pod reaches itself through the VIP of its own service', async () => {
    const [pod] = await podsOf('web');
    const script = ['ambit', 'echo', 'client', 'http://web', '--count', '20', '--json'];
    const calls = JSON.parse(
      await sandbox.must('exec', pod!.metadata.name, '-n', 'shop', '--', ...script),
    ) as Calls;
    assert.equal(calls.responders[pod!.metadata.name]! > 0, true);
    assert.equal(calls.failed, 0);
  });

  test('cluster DNS knows services, headless services and nothing else', async () => {
    const lookup = async (name: string) => (await inClient('getent', 'ahosts', name)).split(/\s+/);
    const ips = (await podsOf('web')).flatMap((pod) => pod.status.podIPs.map((one) => one.ip));
    const headless = await lookup('web-headless.shop');
    for (const ip of ips) assert.ok(headless.includes(ip), ip);
    assert.equal(
      (await sandbox.run(['exec', 'client', '-n', 'shop', '--', 'getent', 'hosts', 'example.com'])).code,
      2,
    );
    assert.match(
      await inClient('cat', '/etc/resolv.conf'),
      /nameserver 10\.96\.0\.10\nsearch shop\.svc\.cluster\.local /,
    );
    assert.equal((await inClient('cat', '/proc/sys/kernel/hostname')).trim(), 'client');
  });

  test('an address outside and a service without pods are refused at once', async () => {
    const { errors } = await call('http://192.0.2.1', 'http://nobody', '--count', '2');
    assert.deepEqual(errors, { ECONNREFUSED: 1, EHOSTUNREACH: 1 });
  });

  test('a pod gets calls only while its readiness probe succeeds', async () => {
    const file = join(sandbox.folder, 'ready');
    const probe = { exec: { command: ['test', '-e', file] }, periodSeconds: 1, failureThreshold: 1 };
    const container = { image: 'ambit/echo', args: ['--http', '8080'], readinessProbe: probe };
    await apply(podManifest('shy', container, { metadata: { name: 'shy', labels: { app: 'shy' } } }));
    await apply({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'shy', namespace: 'shop' },
      spec: { selector: { app: 'shy' }, ports: [{ port: 80, targetPort: 8080 }] },
    });
    await until('the pod runs', async () => (await getPod('shy')).status.phase === 'Running');
    assert.equal((await call('http://shy')).errors.ECONNREFUSED, 1);
    await sandbox.must('exec', 'shy', '-n', 'shop', '--', 'touch', file);
    await until('the service answers', async () => (await call('http://shy')).ok === 1);
    await sandbox.must('exec', 'shy', '-n', 'shop', '--', 'rm', file);
    await until(
      'the service refuses again',
      async () => (await call('http://shy')).errors.ECONNREFUSED === 1,
    );
    await sandbox.must('delete', 'pod', 'shy', '-n', 'shop');
  });

  test('a container that ends is started again; one that a liveness probe gives up is ended first', async () => {
    await apply(podManifest('mortal', { command: ['sleep', '0.5'] }));
    const livenessProbe = {
      tcpSocket: { port: 8080 },
      periodSeconds: 1,
      failureThreshold: 1,
      initialDelaySeconds: 1,
    };
    const deaf = { command: ['sleep', 'infinity'], livenessProbe };
    await apply(podManifest('deaf', deaf, { spec: { terminationGracePeriodSeconds: 1 } }));
    for (const name of ['mortal', 'deaf']) {
      await until(
        `${name} is restarted`,
        async () => (await getPod(name)).status.containerStatuses[0]!.restartCount > 0,
      );
    }
    await sandbox.must('delete', 'pod', 'mortal', 'deaf', '-n', 'shop', '--grace-period', '0');
  });

  test('a pod that runs once ends as Succeeded or Failed, with its exit code and its last words', async () => {
    const once = { spec: { restartPolicy: 'Never' } };
    await apply(podManifest('fine', { command: ['true'] }, once));
    await apply(podManifest('broken', { command: ['sh', '-c', 'echo no such luck >&2; exit 3'] }, once));
    const broken = await until('the pods end', async () => {
      const [fine, other] = await Promise.all([getPod('fine'), getPod('broken')]);
      return fine.status.phase === 'Succeeded' && other.status.phase === 'Failed' && other;
    });
    const { terminated } = broken.status.containerStatuses[0]!.state;
    assert.equal(terminated?.exitCode, 3);
    assert.equal(terminated?.message, 'no such luck');
    assert.equal(await sandbox.must('logs', 'broken', '-n', 'shop'), 'no such luck\n');
  });

  test('an image that a sandbox has not is told in the status of the pod', async () => {
    await apply(podManifest('foreign', { image: 'nginx:1.27' }));
    const state = await until('the kubelet looks at the pod', async () => {
      return (await getPod('foreign')).status.containerStatuses?.[0]?.state.waiting;
    });
    assert.equal(state.reason, 'ErrImagePull');
    assert.match(state.message!, /there is no image nginx:1\.27/);
  });

  test('exec passes input, output, errors and the exit code through, however much it is', async () => {
    const bytes = randomBytes(10 * 1024 * 1024);
    const { code, stdout, stderr } = await sandbox.run(
      ['exec', 'client', '-n', 'shop', '--', 'sh', '-c', 'cat; echo problem >&2; exit 42'],
      { input: bytes },
    );
    assert.equal(code, 42);
    assert.equal(stderr, 'problem\n');
    const digest = (data: Buffer) => createHash('sha256').update(data).digest('hex');
    assert.equal(digest(stdout), digest(bytes));
    assert.equal(
      (await sandbox.run(['exec', 'client', '-n', 'shop', '--', 'sh', '-c', 'kill -9 $$'])).code,
      137,
    );
    const missing = await sandbox.run(['exec', 'client', '-n', 'shop', '--', 'no-such-program']);
    assert.equal(missing.code, 127);
    assert.match(missing.stderr, /not installed on this machine: no-such-program/);
  });

  test('a command can be run in whichever pod an owner or a service has', async () => {
    const names = (await podsOf('web')).map((pod) => pod.metadata.name);
    for (const target of ['deploy/web', 'svc/web', `pod/${names[0]}`]) {
      const hostname = await sandbox.must(
        'exec',
        target,
        '-n',
        'shop',
        '--',
        'cat',
        '/proc/sys/kernel/hostname',
      );
      assert.ok(names.includes(hostname.trim()), target);
    }
    assert.equal((await sandbox.run(['exec', 'svc/nobody', '-n', 'shop', '--', 'true'])).code, 1);
  });

  test('a signal to exec reaches the command', async () => {
    const script = 'trap "echo interrupted; exit 5" INT; echo ready; while :; do sleep 0.05; done';
    const child = sandbox.start(['exec', 'client', '-n', 'shop', '--', 'sh', '-c', script]);
    let output = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (text.includes('ready')) child.kill('SIGINT');
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    assert.equal(output, 'ready\ninterrupted\n');
    assert.equal(code, 5);
  });

  test('a pod may have one family only', async () => {
    const server = {
      image: 'ambit/echo',
      args: ['--http', '8080'],
      readinessProbe: { tcpSocket: { port: 8080 } },
    };
    for (const family of ['ipv4', 'ipv6']) {
      const annotations = { 'sandbox.ambit.io/ip-families': family };
      await apply(
        podManifest(`only-${family}`, server, { metadata: { name: `only-${family}`, annotations } }),
      );
    }
    for (const [family, own] of [
      ['ipv4', '10.244.'],
      ['ipv6', 'fd00:'],
    ] as const) {
      const pod = await until(
        'the pod is ready',
        async () => (await isReady(`only-${family}`)) && getPod(`only-${family}`),
      );
      assert.equal(pod.status.podIPs.length, 1);
      assert.ok(pod.status.podIP.startsWith(own));
      const host = family === 'ipv6' ? `[${pod.status.podIP}]` : pod.status.podIP;
      assert.equal((await call(`http://${host}:8080`)).ok, 1);
      const calls = await sandbox.must(
        'exec',
        `only-${family}`,
        '-n',
        'shop',
        '--',
        'ambit',
        'echo',
        'client',
        'http://web',
      );
      assert.match(calls, /1 ok/);
    }
    const disabled = await sandbox.must(
      'exec',
      'only-ipv4',
      '-n',
      'shop',
      '--',
      'cat',
      '/proc/sys/net/ipv6/conf/all/disable_ipv6',
    );
    assert.equal(disabled.trim(), '1');
  });

  test('a broken manifest changes nothing, and the message leads to the line', async () => {
    const input =
      'apiVersion: v1\nkind: Namespace\nmetadata: {name: fine}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {}\n';
    const { code, stderr } = await sandbox.run(['apply', '-f', '-'], { input });
    assert.equal(code, 1);
    assert.match(stderr, /standard input:8: Pod: spec must have the field containers/);
    assert.match(stderr, /AMBIT_SANDBOX_MANIFEST_INVALID/);
    assert.equal((await sandbox.run(['get', 'ns', 'fine'])).code, 1);
  });

  test('deleting a pod of a deployment brings another one, and no call fails for long', async () => {
    const [victim] = await podsOf('web');
    await sandbox.must('delete', 'pod', victim!.metadata.name, '-n', 'shop');
    await until('another pod is ready', async () => {
      const pods = await podsOf('web');
      const ready = pods.filter((pod) => pod.status.containerStatuses?.[0]?.ready);
      return ready.length === 2 && ready.every((pod) => pod.metadata.uid !== victim!.metadata.uid);
    });
    assert.equal((await call('http://web', '--count', '20')).failed, 0);
  });

  test('a pod whose namespaces were taken from it gets new ones', async () => {
    interface Environment {
      readonly pods: readonly { readonly name: string; readonly pid?: number }[];
    }
    const pidOf = async () => {
      const { pods } = await sandbox.json<Environment>('env');
      return pods.find((pod) => pod.name === 'client')?.pid;
    };
    const before = await pidOf();
    process.kill(before!, 'SIGKILL');
    await until('the pod is back', async () => {
      const pid = await pidOf();
      return pid !== undefined && pid !== before && (await isReady('client'));
    });
    assert.equal((await call('http://web')).ok, 1);
  });

  test('a namespace takes everything in it along', async () => {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'brief' } };
    await apply(namespace);
    await apply(
      podManifest('p', { command: ['sleep', '60'] }, { metadata: { name: 'p', namespace: 'brief' } }),
    );
    await until('the pod runs', async () =>
      (await sandbox.must('get', 'pods', '-n', 'brief')).includes('Running'),
    );
    await sandbox.must('delete', 'namespace', 'brief');
    const left = await sandbox.json<{ items: object[] }>('get', 'pods', '-n', 'brief');
    assert.deepEqual(left.items, []);
  });

  test('env names processes of this machine, in the namespaces it says', async () => {
    interface Part {
      readonly pid: number;
      readonly netns: string;
      readonly enter: readonly string[];
    }
    const { nodes, daemon } = await sandbox.json<{ nodes: (Part & { name: string })[]; daemon: Part }>('env');
    assert.match(readFileSync(`/proc/${daemon.pid}/cmdline`, 'utf8'), /daemon\/main\.ts/);
    assert.deepEqual(
      nodes.map((node) => node.name),
      ['node1', 'node2'],
    );
    assert.equal(nodes[0]!.netns, `/proc/${nodes[0]!.pid}/ns/net`);
    assert.ok(nodes[0]!.enter.includes(`--target=${nodes[0]!.pid}`));
  });
}
