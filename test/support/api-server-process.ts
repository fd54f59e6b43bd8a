/** A real kube-apiserver with an etcd of its own on loopback, and nothing else of a cluster, for tests of what talks to one. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeClient } from '../../src/kube/kube-client.ts';
import { eventuallyAnswers } from './eventually.ts';

const BUILD = join(import.meta.dirname, '../cluster/testbed/build.sh');
/** On a machine with much else to do. */
const START_TIMEOUT_MS = 120_000;

export interface ApiServerOptions {
  /** Further flags of kube-apiserver. */
  readonly flags?: readonly string[];
}

export class ApiServerProcess implements AsyncDisposable {
  readonly kubeconfig: string;
  readonly client: KubeClient;
  readonly #folder: string;
  readonly #binaries: string;
  readonly #flags: readonly string[];
  readonly #children = new Map<string, ChildProcess>();

  private constructor(folder: string, binaries: string, flags: readonly string[], client: KubeClient) {
    this.#folder = folder;
    this.#binaries = binaries;
    this.#flags = flags;
    this.kubeconfig = join(folder, 'kubeconfig');
    this.client = client;
  }

  /** Builds the programs when nobody has, which takes minutes. */
  static async start(options: ApiServerOptions = {}): Promise<ApiServerProcess> {
    const binaries = execFileSync(BUILD, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    const folder = mkdtempSync(join(tmpdir(), 'ambit-apiserver-'));
    const [etcd, peers, secure] = [await freePort(), await freePort(), await freePort()];
    const token = randomBytes(16).toString('hex');
    writeCredentials(folder, token);
    writeKubeconfig(folder, secure, token);
    const flags = [...apiServerFlags(folder, etcd, secure), ...(options.flags ?? [])];
    const client = await KubeClient.connect({ kubeconfig: join(folder, 'kubeconfig') });
    const server = new ApiServerProcess(folder, binaries.split('\n')[0]!, flags, client);
    server.#spawn('etcd', etcdFlags(folder, etcd, peers));
    try {
      await server.startApiServer();
    } catch (thrown) {
      await server[Symbol.asyncDispose]();
      throw thrown;
    }
    return server;
  }

  /** Resolves when it is ready; rejects with its last words when it has ended. */
  async startApiServer(): Promise<void> {
    const child = this.#spawn('kube-apiserver', this.#flags);
    const ended = new Promise<never>((_, reject) => {
      child.once('close', () => {
        const log = readFileSync(join(this.#folder, 'kube-apiserver.log'), 'utf8');
        reject(new Error(`the API server has ended: ${log.slice(-2000)}`));
      });
    });
    const ready = async () => (await this.client.request<string>({ path: '/readyz' })) === 'ok';
    await Promise.race([ended, eventuallyAnswers('an API server that is ready', ready, START_TIMEOUT_MS)]);
    ended.catch(() => {});
  }

  /** What it knows stays in etcd. */
  async killApiServer(): Promise<void> {
    await end(this.#children.get('kube-apiserver'));
  }

  /** Applies manifests as kubectl does, refusing unknown fields; the answer is what the server says. */
  kubectl(args: readonly string[], input = ''): string {
    return execFileSync(join(this.#binaries, 'kubectl'), ['--kubeconfig', this.kubeconfig, ...args], {
      input,
      encoding: 'utf8',
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await Promise.all([...this.#children.values()].map(end));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #spawn(name: string, flags: readonly string[]): ChildProcess {
    const output = openSync(join(this.#folder, `${name}.log`), 'a');
    const child = spawn(join(this.#binaries, name), flags, { stdio: ['ignore', output, output] });
    this.#children.set(name, child);
    return child;
  }
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await closed;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'] as const;

function writeCredentials(folder: string, token: string): void {
  const at = (name: string): string => join(folder, name);
  writeFileSync(at('tokens.csv'), `${token},admin,admin,system:masters\n`);
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { stdio: 'ignore' });
  };
  const names = ['-days', '2', '-subj', '/CN=kube-apiserver', '-addext', 'subjectAltName=IP:127.0.0.1'];
  openssl('req', '-x509', ...NEW_KEY, ...names, '-keyout', at('apiserver.key'), '-out', at('apiserver.crt'));
  openssl('req', '-new', ...NEW_KEY, '-subj', '/CN=x', '-keyout', at('accounts.key'), '-out', at('unused'));
  openssl('pkey', '-in', at('accounts.key'), '-pubout', '-out', at('accounts.pub'));
}

function writeKubeconfig(folder: string, port: number, token: string): void {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'test',
        cluster: {
          server: `https://127.0.0.1:${port}`,
          'certificate-authority': join(folder, 'apiserver.crt'),
        },
      },
    ],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    'current-context': 'test',
  };
  writeFileSync(join(folder, 'kubeconfig'), JSON.stringify(config));
}

function etcdFlags(folder: string, client: number, peer: number): readonly string[] {
  const [clientUrl, peerUrl] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
  return [
    ...['--name=etcd', `--data-dir=${join(folder, 'etcd')}`, '--unsafe-no-fsync', '--log-level=warn'],
    ...[`--listen-client-urls=${clientUrl}`, `--advertise-client-urls=${clientUrl}`],
    ...[`--listen-peer-urls=${peerUrl}`, `--initial-advertise-peer-urls=${peerUrl}`],
    `--initial-cluster=etcd=${peerUrl}`,
  ];
}

/** Without controllers nobody makes service accounts for the pods of tests. */
function apiServerFlags(folder: string, etcd: number, secure: number): readonly string[] {
  return [
    `--etcd-servers=http://127.0.0.1:${etcd}`,
    ...['--bind-address=127.0.0.1', `--secure-port=${secure}`, '--service-cluster-ip-range=10.96.0.0/16'],
    ...['--authorization-mode=RBAC', '--disable-admission-plugins=ServiceAccount', '--profiling=false'],
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    `--tls-cert-file=${join(folder, 'apiserver.crt')}`,
    `--tls-private-key-file=${join(folder, 'apiserver.key')}`,
    ...[
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${join(folder, 'accounts.pub')}`,
    ],
    `--service-account-signing-key-file=${join(folder, 'accounts.key')}`,
  ];
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
