/** The stage: a sandbox of two nodes with the mesh, and on each node a pod in the mesh and one beside it. */

import { AMBIENT, clientManifest, namespaceManifest, policyManifest } from '../../support/mesh-manifests.ts';
import type { Enter } from '../../support/program-inside.ts';
import { SandboxSession } from '../../support/sandbox-session.ts';
import { LoadClient, startSink } from './load/load-client.ts';
import { SINK_PORT } from './load/load-protocol.ts';
import { allowCubic, tuneNetwork } from './network-tuning.ts';

/** As many threads as each peer has. */
const ONE_THREAD = { ZTUNNEL_WORKER_THREADS: '1' };
const MANIFESTS = [
  namespaceManifest('mesh', AMBIENT),
  namespaceManifest('plain'),
  ...['mesh', 'plain'].flatMap((namespace) => [
    clientManifest({ name: 'front', namespace, node: 'node1' }),
    clientManifest({ name: 'back', namespace, node: 'node2' }),
  ]),
  policyManifest('mesh', 'front-only', {
    action: 'ALLOW',
    rules: [
      {
        from: [{ source: { principals: ['cluster.local/ns/mesh/sa/front'] } }],
        to: [{ operation: { ports: [String(SINK_PORT)] } }],
      },
    ],
  }),
  policyManifest('mesh', 'no-strangers', {
    action: 'DENY',
    rules: [{ from: [{ source: { notNamespaces: ['mesh'] } }] }],
  }),
];

/** A pod pair: where the load generator runs, and where the sink does. */
export interface Side {
  readonly client: LoadClient;
  readonly enterFront: Enter;
  readonly enterBack: Enter;
  readonly backIp: string;
}

export class BenchSandbox implements AsyncDisposable {
  readonly session: SandboxSession;
  readonly mesh: Side;
  readonly plain: Side;
  readonly #closing: DisposableStack;

  private constructor(session: SandboxSession, sides: { mesh: Side; plain: Side }, closing: DisposableStack) {
    this.session = session;
    this.mesh = sides.mesh;
    this.plain = sides.plain;
    this.#closing = closing;
  }

  /**
   * @param program the words of the program that the node proxies run
   * @param env further variables of theirs
   */
  static async start(
    program: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<BenchSandbox> {
    const assignments = Object.entries({ ...ONE_THREAD, ...env }).map(
      ([name, value]) => `${name}='${value}'`,
    );
    const command = `${assignments.join(' ')} exec ${program.join(' ')} ztunnel`;
    const up = ['node1', 'node2'].flatMap((node) => ['--ztunnel', `${node}=${command}`]);
    const session = await SandboxSession.start({ name: 'bench', manifests: MANIFESTS, up });
    const closing = new DisposableStack();
    try {
      await session.enrolled('mesh');
      closing.use(allowCubic());
      await tuneNetwork(session, ['mesh', 'plain']);
      const mesh = await side(session, 'mesh', closing);
      const plain = await side(session, 'plain', closing);
      return new BenchSandbox(session, { mesh, plain }, closing);
    } catch (thrown) {
      closing.dispose();
      await session.dispose();
      throw thrown;
    }
  }

  /** Of the node proxies, as this machine numbers them. */
  async ztunnelPids(): Promise<readonly number[]> {
    const { nodes } = await this.session.facts();
    return nodes.map(({ ztunnel }) => ztunnel!.pid!);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.dispose();
    await this.session.dispose();
  }
}

async function side(session: SandboxSession, namespace: string, closing: DisposableStack): Promise<Side> {
  const { pods } = await session.facts();
  const pod = (name: string) => pods.find((one) => one.namespace === namespace && one.name === name)!;
  const enterFront = networkOf(pod('front').enter!);
  const enterBack = networkOf(pod('back').enter!);
  closing.use(await startSink(enterBack, SINK_PORT));
  const client = closing.use(await LoadClient.start(enterFront));
  return { client, enterFront, enterBack, backIp: pod('back').ips[0]! };
}

/** Into the network alone: so files and numbers of processes are those of the machine. */
function networkOf(enter: Enter): Enter {
  return enter.filter((word) => !['--mount', '--uts', '--ipc', '--pid'].includes(word));
}
