/** A small mesh for tests of policy, and who of it is served by whom while some policies are in force. */

import assert from 'node:assert/strict';
import {
  AMBIENT,
  clientManifest,
  HTTP_PORT,
  type Manifest,
  namespaceManifest,
  podManifest,
  TCP_PORT,
} from './mesh-manifests.ts';
import { until } from './sandbox-commands.ts';
import { SandboxSession } from './sandbox-session.ts';

/** A second port of every server, that policies may treat in another way. */
export const OTHER_PORT = 8081;
/** Where policies for the whole mesh live. */
export const ROOT_NAMESPACE = 'istio-system';

export const CLIENTS = {
  orders: 'shop',
  frontend: 'shop',
  visitor: 'other',
  stranger: 'plain',
} as const;
export type ClientName = keyof typeof CLIENTS;
export const EVERYBODY = Object.keys(CLIENTS) as readonly ClientName[];

/** `server:port`: two servers on both nodes in one namespace, one in another. */
export const TARGETS = {
  'database:8080': { namespace: 'shop', pod: 'database', port: HTTP_PORT },
  'database:8081': { namespace: 'shop', pod: 'database', port: OTHER_PORT },
  'cache:8080': { namespace: 'shop', pod: 'cache', port: HTTP_PORT },
  'museum:8080': { namespace: 'other', pod: 'museum', port: HTTP_PORT },
} as const;
export type TargetName = keyof typeof TARGETS;

const SERVER = {
  image: 'ambit/echo',
  args: ['--http', String(HTTP_PORT), '--http', String(OTHER_PORT), '--tcp', String(TCP_PORT)],
  readinessProbe: { tcpSocket: { port: HTTP_PORT }, periodSeconds: 1 },
};

const MANIFESTS: readonly Manifest[] = [
  namespaceManifest(ROOT_NAMESPACE),
  namespaceManifest('shop', AMBIENT),
  namespaceManifest('other', AMBIENT),
  namespaceManifest('plain'),
  ...EVERYBODY.map((name) => clientManifest({ name, namespace: CLIENTS[name], node: 'node1' })),
  podManifest({ name: 'database', namespace: 'shop', node: 'node2', container: SERVER }),
  podManifest({ name: 'cache', namespace: 'shop', node: 'node1', container: SERVER }),
  podManifest({ name: 'museum', namespace: 'other', node: 'node2', container: SERVER }),
];

/** Who is served, by target; a target that is not named serves everybody. */
export type Served = Readonly<Partial<Record<TargetName, readonly ClientName[]>>>;

export class PolicyMatrix {
  readonly session: SandboxSession;
  readonly #ips = new Map<string, string>();

  static async start(name: string): Promise<PolicyMatrix> {
    const session = await SandboxSession.start({ name, manifests: MANIFESTS });
    const matrix = new PolicyMatrix(session);
    try {
      await session.enrolled('shop');
      await session.enrolled('other');
      for (const { namespace, pod } of Object.values(TARGETS)) {
        matrix.#ips.set(pod, await session.podIp(namespace, pod));
      }
      return matrix;
    } catch (thrown) {
      await session.dispose();
      throw thrown;
    }
  }

  private constructor(session: SandboxSession) {
    this.session = session;
  }

  ipOf(pod: string): string {
    return this.#ips.get(pod)!;
  }

  caller(name: ClientName) {
    return this.session.callerIn(CLIENTS[name], name);
  }

  /**
   * Puts objects in force, waits until exactly those are served that should be, and then runs the rest of a test;
   * takes the objects away again, whatever happens, and waits until everybody is served as before.
   */
  async inForce(
    manifests: readonly Manifest[],
    served: Served,
    rest: () => Promise<void> = async () => {},
  ): Promise<void> {
    await this.session.apply(...manifests);
    try {
      await this.#areKnown(manifests);
      await this.serves(served);
      await rest();
    } finally {
      await this.session.remove(...manifests);
    }
    await this.serves({});
  }

  /** Waits until exactly those are served that should be. Others must be cut, not left to wait. */
  async serves(served: Served): Promise<void> {
    const expected = Object.fromEntries(
      Object.keys(TARGETS).map((target) => [target, [...(served[target as TargetName] ?? EVERYBODY)].sort()]),
    );
    let seen: unknown;
    await until('the policies to be in force', async () => {
      seen = await this.#whoIsServed();
      return JSON.stringify(seen) === JSON.stringify(expected);
    }).catch(() => assert.deepEqual(seen, expected));
  }

  /** What has no effect cannot be told from what has not arrived yet, unless the proxies are asked. */
  async #areKnown(manifests: readonly Manifest[]): Promise<void> {
    const expected = manifests.filter(({ kind, spec }) => {
      return kind === 'AuthorizationPolicy' && (spec as { action?: string }).action !== 'CUSTOM';
    });
    const names = expected.map(({ metadata }) => (metadata as { name: string }).name);
    await this.session.everyProxy(`there is ${names}`, ({ policies }) =>
      names.every((name) => policies.some((one) => one.name === name)),
    );
  }

  async #whoIsServed(): Promise<Record<string, readonly string[]>> {
    const entries = Object.entries(TARGETS).map(async ([target, { pod, port }]) => {
      const url = `http://${this.ipOf(pod)}:${port}/`;
      const outcomes = EVERYBODY.map(async (name) => {
        const outcome = await (await this.caller(name)).outcome(url);
        if (outcome === 'ECONNRESET') return [];
        return [outcome === 'ok' ? name : `${name}: ${outcome}`];
      });
      return [target, (await Promise.all(outcomes)).flat().sort()] as const;
    });
    return Object.fromEntries(await Promise.all(entries));
  }
}
