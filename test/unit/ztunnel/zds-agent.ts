/** The node agent's end of ZDS for tests: listens, keeps what it is told, sends what a test wants, right or wrong. */

import { closeSync, openSync, rmSync } from 'node:fs';
import type { Reactor } from '../../../src/io/reactor.ts';
import { SeqpacketListener, type SeqpacketSocket } from '../../../src/io/seqpacket.ts';
import { WorkloadRequest, WorkloadResponse, ZdsHello } from '../../../src/xds/zds-messages.ts';
import { until } from '../../support/reactor-harness.ts';
import { namespacePath } from './pod-fixture.ts';

type Payload = NonNullable<WorkloadRequest['payload']>;

/** One connection of the proxy. */
class AgentConnection {
  readonly #socket: SeqpacketSocket;
  hello: number | undefined;
  /** Error texts of the acknowledgements; '' agrees. */
  readonly answers: string[] = [];
  isClosed = false;

  constructor(socket: SeqpacketSocket) {
    this.#socket = socket;
    socket.handler = {
      onMessage: (message) => this.#take(message),
      onClosed: () => {
        this.isClosed = true;
      },
    };
  }

  sendRaw(message: Uint8Array, fds: readonly number[] = []): void {
    this.#socket.send(message, fds);
  }

  send(payload: Payload, fds: readonly number[] = []): void {
    this.sendRaw(WorkloadRequest.encode({ payload }), fds);
  }

  /** Sends, and resolves with the answer to it; only where nothing else awaits an answer. */
  async ask(payload: Payload, fds: readonly number[] = []): Promise<string> {
    const before = this.answers.length;
    this.send(payload, fds);
    return this.nextAnswer(before);
  }

  async nextAnswer(before = this.answers.length): Promise<string> {
    await until(() => this.answers.length > before, 'an answer to the agent');
    return this.answers[before]!;
  }

  /** An `add` with descriptors of the named namespaces, one of them where it is right. */
  sendAdd(uid: string, namespaces: readonly string[] = [uid], withInfo = true): void {
    const fds = namespaces.map((name) => openSync(namespacePath(name), 'r'));
    const info = { name: `pod-${uid}`, namespace: 'shop', serviceAccount: 'orders', searchDomains: [] };
    this.send({ kind: 'add', value: { uid, workloadInfo: withInfo ? info : undefined } }, fds);
    for (const fd of fds) closeSync(fd);
  }

  async add(uid: string, namespaces: readonly string[] = [uid], withInfo = true): Promise<string> {
    const before = this.answers.length;
    this.sendAdd(uid, namespaces, withInfo);
    return this.nextAnswer(before);
  }

  close(): void {
    this.#socket.close();
  }

  #take(message: Uint8Array): void {
    if (this.hello === undefined) this.hello = ZdsHello.decode(message).version;
    else this.answers.push(WorkloadResponse.decode(message).payload?.value.error ?? 'no acknowledgement');
  }
}

export class ZdsAgent {
  readonly #listener: SeqpacketListener;
  readonly connections: AgentConnection[] = [];

  constructor(reactor: Reactor, path: string) {
    this.#listener = SeqpacketListener.listen(reactor, path, (socket) => {
      this.connections.push(new AgentConnection(socket));
    });
  }

  /** The connection with this number, once it has greeted. */
  async connection(number = 1): Promise<AgentConnection> {
    await until(() => this.connections[number - 1]?.hello !== undefined, `connection ${number}`);
    return this.connections[number - 1]!;
  }

  close(): void {
    this.#listener.close();
    for (const connection of this.connections) connection.close();
    rmSync(this.#listener.path, { force: true });
  }
}
