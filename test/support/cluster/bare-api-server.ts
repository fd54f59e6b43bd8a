/** A real Kubernetes API server with its etcd and nothing else, as plain processes on loopback; nobody runs its pods. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { makeLeaf, makeRoot } from '../certificates.ts';
import { eventuallyAnswers } from '../eventually.ts';
import { freePorts } from '../free-port.ts';

const BUILD = join(import.meta.dirname, '../../cluster/testbed/build.sh');
/** Building them takes minutes on a machine that has never done it; starting them, seconds. */
const BUILD_TIMEOUT_MS = 30 * 60_000;
const START_TIMEOUT_MS = 120_000;
/** Users by token: one who may do everything, and one who may do what a test allows. */
export const ADMIN_TOKEN = 'admin-token';
export const AGENT_TOKEN = 'agent-token';
export const AGENT_USER = 'agent';

export class BareApiServer implements AsyncDisposable {
  readonly port: number;
  readonly caPem: string;
  readonly #folder: string;
  readonly #programs: string;
  readonly #etcdUrl: string;
  readonly #children: ChildProcess[] = [];
  readonly #flags: Readonly<Record<string, string>>;
  #kubeconfigs = 0;
  #kubectlConfig: string | undefined;
  #apiServer: ChildProcess | undefined;

  private constructor(programs: string, ports: readonly number[], flags: Readonly<Record<string, string>>) {
    this.#programs = programs;
    this.#flags = flags;
    this.#folder = mkdtempSync(join(tmpdir(), 'api-server-'));
    this.port = ports[0]!;
    this.#etcdUrl = `http://127.0.0.1:${ports[1]}`;
    this.caPem = this.#writeCredentials();
    const { env } = process;
    this.#spawn('etcd', {
      'data-dir': join(this.#folder, 'etcd'),
      'listen-client-urls': this.#etcdUrl,
      'advertise-client-urls': this.#etcdUrl,
      'listen-peer-urls': `http://127.0.0.1:${ports[2]}`,
      'unsafe-no-fsync': 'true',
      'log-level': env.LOG_LEVEL ?? 'error',
    });
  }

  /** @param flags further ones of kube-apiserver */
  static async start(flags: Readonly<Record<string, string>> = {}): Promise<BareApiServer> {
    const built = execFileSync(BUILD, {
      encoding: 'utf8',
      timeout: BUILD_TIMEOUT_MS,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const programs = built.split('\n').find((folder) => /\/kubernetes-[0-9a-f]+$/.test(folder))!;
    const server = new BareApiServer(programs, await freePorts(3), flags);
    try {
      await server.resume();
    } catch (thrown) {
      await server[Symbol.asyncDispose]();
      throw thrown;
    }
    return server;
  }

  /** Of the API server and etcd. */
  get pids(): readonly number[] {
    const running = this.#children.filter((child) => child.exitCode === null && child.signalCode === null);
    return running.flatMap((child) => child.pid ?? []);
  }

  /** Kills the API server; etcd keeps what it had. */
  async kill(): Promise<void> {
    const child = this.#apiServer;
    if (child === undefined) return;
    this.#apiServer = undefined;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** Starts the API server, again after {@link kill}. */
  async resume(): Promise<void> {
    const file = (name: string) => join(this.#folder, name);
    this.#apiServer = this.#spawn('kube-apiserver', {
      'etcd-servers': this.#etcdUrl,
      'secure-port': String(this.port),
      'bind-address': '127.0.0.1',
      'tls-cert-file': file('server.crt'),
      'tls-private-key-file': file('server.key'),
      'service-account-key-file': file('accounts.key'),
      'service-account-signing-key-file': file('accounts.key'),
      'service-account-issuer': 'https://kubernetes.default.svc',
      'token-auth-file': file('tokens'),
      'authorization-mode': 'RBAC',
      'service-cluster-ip-range': '10.96.0.0/12',
      'disable-admission-plugins': 'ServiceAccount',
      'max-mutating-requests-inflight': '1000',
      ...this.#flags,
    });
    const ready = () => this.#status('/readyz');
    await eventuallyAnswers('the API server', async () => (await ready()) === 200, START_TIMEOUT_MS);
  }

  /** A kubeconfig of this user; by way of another port, when somebody stands between. */
  kubeconfig(token = ADMIN_TOKEN, port = this.port): string {
    const path = join(this.#folder, `kubeconfig-${this.#kubeconfigs++}`);
    const cluster = {
      server: `https://localhost:${port}`,
      'certificate-authority-data': Buffer.from(this.caPem).toString('base64'),
    };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      clusters: [{ name: 'test', cluster }],
      users: [{ name: 'test', user: { token } }],
    };
    writeFileSync(path, stringify(config));
    return path;
  }

  /** What kubectl prints, run by the administrator; throws with what it complains of. */
  kubectl(args: readonly string[], input = ''): string {
    this.#kubectlConfig ??= this.kubeconfig();
    const command = ['--kubeconfig', this.#kubectlConfig, ...args];
    return execFileSync(join(this.#programs, 'kubectl'), command, { input, encoding: 'utf8', stdio: 'pipe' });
  }

  /** Runs these controllers of Kubernetes until the end; by default there is none. */
  startControllers(...names: readonly string[]): void {
    this.#spawn('kube-controller-manager', {
      kubeconfig: this.kubeconfig(),
      controllers: names.join(','),
      'leader-elect': 'false',
      'bind-address': '127.0.0.1',
      'secure-port': '0',
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(this.#folder, { recursive: true });
  }

  #writeCredentials(): string {
    const root = makeRoot('api-server-test');
    const leaf = makeLeaf(root, { dnsName: 'localhost' });
    mkdirSync(this.#folder, { recursive: true });
    const write = (name: string, text: string) =>
      writeFileSync(join(this.#folder, name), text, { mode: 0o600 });
    write('server.crt', leaf.chainPem);
    write('server.key', leaf.privateKeyPem);
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    write('accounts.key', String(privateKey.export({ type: 'pkcs1', format: 'pem' })));
    write(
      'tokens',
      `${ADMIN_TOKEN},admin,admin,system:masters\n${AGENT_TOKEN},${AGENT_USER},${AGENT_USER}\n`,
    );
    return root.certificatePem;
  }

  #spawn(program: string, flags: Readonly<Record<string, string>>): ChildProcess {
    const log = openSync(join(this.#folder, `${program}.log`), 'a');
    const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    // A test that is killed takes its servers with it.
    const command = ['--pdeathsig', 'KILL', join(this.#programs, program), ...args];
    const child = spawn('setpriv', command, { stdio: ['ignore', log, log] });
    child.on('exit', (code) => {
      if (code === null || child.killed) return;
      const text = readFileSync(join(this.#folder, `${program}.log`), 'utf8');
      process.stderr.write(`${program} ended with ${code}:\n${text.slice(-2000)}\n`);
    });
    this.#children.push(child);
    return child;
  }

  #status(path: string): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
      const question = request(
        { host: 'localhost', port: this.port, path, headers, ca: this.caPem },
        (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        },
      );
      question.on('error', reject).end();
    });
  }
}
