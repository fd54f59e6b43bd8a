/** A ztunnel as the agent sees it: greets, takes pods with their namespaces, and answers as it is told to. */

import { closeSync, fstatSync } from 'node:fs';
import type { Reactor } from '../../src/io/reactor.ts';
import { SeqpacketSocket } from '../../src/io/seqpacket.ts';
import { WorkloadRequest, WorkloadResponse, ZdsHello } from '../../src/xds/zds-messages.ts';

type Request = NonNullable<WorkloadRequest['payload']>;

export class ZdsClient {
  readonly #socket: SeqpacketSocket;
  /** `add <uid>`, `del <uid>`, `keep <uid>`, `snapshotSent`, as they came. */
  readonly log: string[] = [];
  /** Pods with the identity of their namespace. */
  readonly pods = new Map<string, string>();
  readonly sizes: number[] = [];
  readonly infos = new Map<string, unknown>();
  unanswered = 0;
  isClosed = false;
  /** The answer to a request: '' agrees, other text refuses, undefined leaves it open. */
  answer: (entry: string) => string | undefined = () => '';

  constructor(reactor: Reactor, path: string, version: number | null = 1) {
    this.#socket = SeqpacketSocket.connect(reactor, path, {
      onMessage: (message, fds) => this.#take(message, fds),
      onClosed: () => {
        this.isClosed = true;
      },
    });
    if (version !== null) this.sendRaw(ZdsHello.encode({ version }));
  }

  get hasSnapshot(): boolean {
    return this.log.includes('snapshotSent');
  }

  sendRaw(message: Uint8Array, fds: readonly number[] = []): void {
    this.#socket.send(message, fds);
  }

  /** Answers what was left open. */
  reply(error = ''): void {
    this.unanswered--;
    this.sendRaw(WorkloadResponse.encode({ payload: { kind: 'ack', value: { error } } }));
  }

  close(): void {
    this.#socket.close();
  }

  #take(message: Uint8Array, fds: number[]): void {
    this.sizes.push(message.length);
    const { payload } = WorkloadRequest.decode(message);
    const entry = this.#apply(payload!, fds);
    this.log.push(entry);
    this.unanswered++;
    const answer = this.answer(entry);
    if (answer !== undefined) this.reply(answer);
  }

  #apply(payload: Request, fds: readonly number[]): string {
    if (payload.kind === 'snapshotSent') return 'snapshotSent';
    const { uid } = payload.value;
    if (payload.kind === 'add') {
      this.pods.set(uid, identitiesOf(fds));
      this.infos.set(uid, payload.value.workloadInfo);
    } else if (fds.length > 0) throw new Error(`${payload.kind} came with a descriptor`);
    if (payload.kind === 'del') this.pods.delete(uid);
    return `${payload.kind} ${uid}`;
  }
}

/** `dev:ino` of what was received; exactly one descriptor is right. */
function identitiesOf(fds: readonly number[]): string {
  return fds
    .map((fd) => {
      const { dev, ino } = fstatSync(fd, { bigint: true });
      closeSync(fd);
      return `${dev}:${ino}`;
    })
    .join(' and ');
}
