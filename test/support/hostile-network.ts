/** Stands between a client and a server, passes bytes on, and cuts or swallows them when it is told to. */

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

export class HostileNetwork implements AsyncDisposable {
  /** Connections that have been made. */
  connections = 0;
  readonly #target: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #isOpen = true;
  #isSilent = false;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((near) => this.#join(near));
  }

  /** @param target port of the server on loopback */
  static async before(target: number): Promise<HostileNetwork> {
    const network = new HostileNetwork(target);
    network.#server.listen(0, '127.0.0.1');
    await once(network.#server, 'listening');
    return network;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resets all connections; new ones are taken all the same. */
  reset(): void {
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy();
      far.destroy();
    }
  }

  /** Resets all connections and every new one, until {@link mend}. */
  cut(): void {
    this.#isOpen = false;
    this.reset();
  }

  /** Keeps connections open and passes nothing on, until {@link mend}, which resets them. */
  swallow(): void {
    this.#isSilent = true;
    for (const { near, far } of this.#pairs) silence(near, far);
  }

  mend(): void {
    if (this.#isSilent) this.reset();
    this.#isOpen = true;
    this.#isSilent = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.cut();
  }

  #join(near: Socket): void {
    this.connections++;
    near.on('error', () => near.destroy());
    if (!this.#isOpen) return void near.resetAndDestroy();
    const far = connect(this.#target, '127.0.0.1');
    far.on('error', () => near.resetAndDestroy());
    const pair = { near, far };
    this.#pairs.add(pair);
    near.on('close', () => {
      far.destroy();
      this.#pairs.delete(pair);
    });
    far.on('close', () => near.destroy());
    near.pipe(far).pipe(near);
    if (this.#isSilent) silence(near, far);
  }
}

function silence(near: Socket, far: Socket): void {
  near.unpipe(far);
  far.unpipe(near);
  near.pause();
  far.pause();
}
