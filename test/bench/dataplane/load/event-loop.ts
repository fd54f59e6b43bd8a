/** The bare event loop of generator and sink: sockets by descriptor, with nothing of the product but its system calls. */

import { Epoll, EVERYTHING } from '../../../../src/sys/epoll.ts';
import { succeeded } from '../../../../src/sys/errno.ts';
import { closeDescriptor } from '../../../../src/sys/sockets.ts';

export const READABLE = 0x001;
export const WRITABLE = 0x004;
/** EPOLLRDHUP, EPOLLHUP, EPOLLERR. */
export const ENDED = 0x2018;

export interface Connection {
  readonly fd: number;
  /** Edge-triggered. True asks for another turn: something is left that could be done. */
  onEvents(events: number): boolean;
}

/** Not the reactor of the product: what is measured must not measure itself, nor change the yardstick as it changes. */
export class EventLoop {
  readonly #epoll = new Epoll();
  readonly #connections: (Connection | undefined)[] = [];
  readonly #generations: number[] = [];
  #again: Connection[] = [];

  add(connection: Connection): void {
    const { fd } = connection;
    const generation = ((this.#generations[fd] ?? 0) + 1) | 0;
    succeeded(this.#epoll.add(fd, generation, EVERYTHING), 'epoll_ctl');
    this.#generations[fd] = generation;
    this.#connections[fd] = connection;
  }

  close(fd: number): void {
    this.#connections[fd] = undefined;
    closeDescriptor(fd);
  }

  /** Waits at most so long, -1 for ever. */
  turn(timeoutMs: number): void {
    const again = this.#again;
    this.#again = [];
    const count = this.#epoll.wait(again.length > 0 ? 0 : timeoutMs);
    for (const connection of again) {
      if (this.#connections[connection.fd] === connection) this.#tell(connection, 0);
    }
    for (let i = 0; i < count; i++) {
      const fd = this.#epoll.descriptorAt(i);
      const connection = this.#connections[fd];
      if (connection === undefined || this.#generations[fd] !== this.#epoll.generationAt(i)) continue;
      this.#tell(connection, this.#epoll.eventsAt(i));
    }
  }

  #tell(connection: Connection, events: number): void {
    if (connection.onEvents(events)) this.#again.push(connection);
  }
}
