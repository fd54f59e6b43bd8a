/** A reflector of a hostile API server's things, and what it has made of them. */

import type { TestContext } from 'node:test';
import type { KubeClient } from '../../src/kube/kube-client.ts';
import { type ReflectedEvent, Reflector, type ReflectorTiming } from '../../src/kube/reflector.ts';
import type { RawObject } from '../../src/kube/watch-event.ts';
import { HostileApiServer, THINGS_PATH } from './hostile-api-server.ts';

/** Fast enough that a test need not wait, and long enough that nothing happens by chance. */
const TIMING = { backoffMs: [1, 20], absentMs: 20, shortWatchMs: 1, answerMs: 10_000 } as const;

export class ReflectedThings implements AsyncDisposable {
  readonly reflector: Reflector<string>;
  readonly server: HostileApiServer;
  /** Everything that was told by events: `upsert name value`. */
  readonly told: string[] = [];
  lists = 0;
  readonly #client: KubeClient;
  #view = new Map<string, string>();

  constructor(server: HostileApiServer, client: KubeClient, timing: Partial<ReflectorTiming>) {
    this.server = server;
    this.#client = client;
    this.reflector = new Reflector<string>({
      client,
      path: THINGS_PATH,
      decode: specValue,
      isAbsent: async () => !server.isInstalled,
      onList: (objects) => {
        this.lists++;
        this.#view = new Map(objects.map(({ key, object }) => [nameOf(key), object]));
      },
      onEvents: (events) => {
        for (const event of events) this.#apply(event);
      },
      timing: { ...TIMING, ...timing },
    });
  }

  /** Lasts until the end of the test; the first list has been read. */
  static async start(t: TestContext, timing: Partial<ReflectorTiming> = {}): Promise<ReflectedThings> {
    const server = await HostileApiServer.start();
    const things = new ReflectedThings(server, await server.client(), timing);
    t.after(() => things[Symbol.asyncDispose]());
    return things;
  }

  /** Name → value, in order. */
  contents(): Record<string, string> {
    return Object.fromEntries([...this.#view].sort());
  }

  /** Whether the view is what the server has. */
  agrees(): boolean {
    return JSON.stringify(this.contents()) === JSON.stringify(this.server.contents());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reflector.stop();
    await this.#client.close();
    await this.server[Symbol.asyncDispose]();
  }

  #apply({ type, key, object }: ReflectedEvent<string>): void {
    const name = nameOf(key);
    this.told.push(`${type} ${name} ${object}`);
    if (type === 'delete') this.#view.delete(name);
    else this.#view.set(name, object);
  }
}

function nameOf(key: string): string {
  return key.slice(key.indexOf('/') + 1);
}

function specValue(raw: RawObject): string {
  const spec: unknown = 'spec' in raw ? raw.spec : undefined;
  return typeof spec === 'object' && spec !== null && 'value' in spec ? String(spec.value) : '';
}
