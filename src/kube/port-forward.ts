/** A byte stream to a port of a pod through the API server, as `kubectl port-forward` makes it. */

import { Duplex } from 'node:stream';
import { WebSocket } from 'undici';
import { messageOf } from '../base/errors.ts';
import { kubeErrors } from './errors.ts';
import type { KubeClient } from './kube-client.ts';
import { hasStatus } from './kube-request-error.ts';

/** The kubelet's protocol: the first byte of a message is the channel; data is 0, the text of an error 1. */
const PROTOCOL = 'v4.channel.k8s.io';
const DATA = 0;
const ERROR = 1;
/** The first message of each channel is the port, in two bytes. */
const PORT_LENGTH = 2;
const OPEN_TIMEOUT_MS = 10_000;
/** Bytes that may wait for the network before a writer is told to wait. */
const HIGH_WATER = 256 * 1024;
const DRAIN_POLL_MS = 5;

export interface ForwardTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

/**
 * Resolves when the API server has opened the stream; a port where nobody listens is an error of the stream.
 * This protocol knows no half-closed streams: ending the writing side ends the stream.
 * Needs `create` (and on older servers `get`) of pods/portforward.
 * @throws AMBIT_KUBE_FORWARD_FAILED
 */
export async function forwardPort(client: KubeClient, target: ForwardTarget): Promise<Duplex> {
  const { namespace, pod, port } = target;
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/portforward`;
  const request = `${path}?ports=${port}`;
  const { url, headers, dispatcher } = await client.upgrade(request);
  const socket = new WebSocket(url, { protocols: PROTOCOL, headers: { ...headers }, dispatcher });
  socket.binaryType = 'arraybuffer';
  const name = `port ${port} of pod ${namespace}/${pod}`;
  const stream = new ForwardedPort(socket, name);
  try {
    await stream.opened;
  } catch (thrown) {
    const reason = await refusalOf(client, request);
    throw reason === undefined ? thrown : failure(name, reason);
  }
  return stream;
}

/** A WebSocket does not tell why it was refused; the same request without one is answered in words. */
async function refusalOf(client: KubeClient, path: string): Promise<string | undefined> {
  try {
    await client.request({ path });
    return undefined;
  } catch (thrown) {
    // 400: all is well but for the missing upgrade.
    return hasStatus(thrown, 400) ? undefined : messageOf(thrown);
  }
}

function failure(name: string, reason: string): Error {
  return kubeErrors.AMBIT_KUBE_FORWARD_FAILED(`${name} cannot be reached: ${reason}`);
}

class ForwardedPort extends Duplex {
  readonly opened: Promise<void>;
  readonly #socket: WebSocket;
  readonly #name: string;
  /** Channels whose first message has come. */
  readonly #begun = new Set<number>();
  #drainTimer: NodeJS.Timeout | undefined;

  constructor(socket: WebSocket, name: string) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    this.#name = name;
    const opening = Promise.withResolvers<void>();
    this.opened = opening.promise;
    const timer = setTimeout(
      () => this.destroy(this.#error('no answer from the API server')),
      OPEN_TIMEOUT_MS,
    );
    socket.addEventListener('open', () => {
      clearTimeout(timer);
      opening.resolve();
    });
    socket.addEventListener('error', (event) => {
      const { message } = event;
      this.destroy(this.#error(message === '' ? 'the API server refused' : message));
    });
    socket.addEventListener('close', () => this.push(null));
    socket.addEventListener('message', ({ data }) => this.#take(data));
    // Before it is open, a failure is told by the promise alone.
    this.once('error', (error) => opening.reject(error));
    this.once('close', () => clearTimeout(timer));
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error) => void): void {
    const message = Buffer.allocUnsafe(chunk.length + 1);
    message[0] = DATA;
    chunk.copy(message, 1);
    this.#socket.send(message);
    this.#whenDrained(callback);
  }

  override _final(callback: (error?: Error) => void): void {
    this.#socket.close();
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#drainTimer);
    this.#socket.close();
    callback(error);
  }

  /** A WebSocket does not say when its buffer has emptied. */
  #whenDrained(callback: () => void): void {
    if (this.#socket.bufferedAmount < HIGH_WATER || this.#socket.readyState !== WebSocket.OPEN)
      return callback();
    this.#drainTimer = setTimeout(() => this.#whenDrained(callback), DRAIN_POLL_MS);
  }

  #take(data: unknown): void {
    if (!(data instanceof ArrayBuffer) || data.byteLength === 0) return;
    const bytes = Buffer.from(data);
    const channel = bytes[0]!;
    const isFirst = !this.#begun.has(channel);
    this.#begun.add(channel);
    const payload = bytes.subarray(isFirst ? 1 + PORT_LENGTH : 1);
    if (payload.length === 0) return;
    if (channel === DATA) this.push(payload);
    else if (channel === ERROR) this.destroy(this.#error(payload.toString().trim()));
  }

  #error(reason: string): Error {
    return failure(this.#name, reason);
  }
}
