/** A server on a real socket that sends every body back, and a client stream that sends and hashes. */

import { createHash, type Hash } from 'node:crypto';
import type { HeaderList } from '../../src/http/header-list.ts';
import { Http2Connection } from '../../src/http/http2-connection.ts';
import { Http2Counters } from '../../src/http/http2-counters.ts';
import { defaultHttp2Settings } from '../../src/http/http2-settings.ts';
import type { Http2Stream, Http2StreamHandler } from '../../src/http/http2-stream.ts';
import type { ByteStream, ByteStreamHandler } from '../../src/io/byte-stream.ts';
import { PlainStream } from '../../src/io/plain-stream.ts';
import type { Reactor } from '../../src/io/reactor.ts';
import { TcpListener } from '../../src/io/tcp-listener.ts';
import type { TcpSocket } from '../../src/io/tcp-socket.ts';
import type { NativeBuffer } from '../../src/sys/native-buffer.ts';
import { address } from './reactor-harness.ts';

export const nobody: ByteStreamHandler = {
  onOpen() {},
  onInput() {},
  onInputEnd() {},
  onOutputSpace() {},
  onClosed() {},
};

/** Writes a queue of buffers into a stream as windows and room allow. */
export class StreamWriter {
  readonly #stream: Http2Stream;
  #queue: Buffer[] = [];
  #ending = false;
  #ended = false;

  constructor(stream: Http2Stream) {
    this.#stream = stream;
  }

  write(bytes: Buffer): void {
    this.#queue.push(bytes);
    this.flush();
  }

  end(): void {
    this.#ending = true;
    this.flush();
  }

  flush(): void {
    while (this.#queue.length > 0) {
      const [first] = this.#queue as [Buffer];
      const count = Math.min(this.#stream.writableBytes(), first.length);
      if (count === 0 && first.length > 0) return;
      this.#stream.dataBuffer.bytes.set(first.subarray(0, count), this.#stream.dataOffset());
      this.#stream.commitData(count, false);
      if (count === first.length) this.#queue.shift();
      else this.#queue[0] = first.subarray(count);
    }
    if (!this.#ending || this.#ended) return;
    this.#ended = true;
    this.#stream.endData();
  }
}

class Echo implements Http2StreamHandler {
  readonly #stream: Http2Stream;
  readonly #writer: StreamWriter;

  constructor(stream: Http2Stream) {
    this.#stream = stream;
    this.#writer = new StreamWriter(stream);
    stream.sendHeaders([[':status', '200']], false);
  }

  onHeaders(): void {}

  onData(buffer: NativeBuffer, offset: number, length: number): void {
    this.#writer.write(Buffer.from(buffer.bytes.slice(offset, offset + length)));
    this.#stream.consumed(length);
  }

  onEnd(): void {
    this.#writer.end();
  }

  onReset(): void {}

  onWritable(): void {
    this.#writer.flush();
  }
}

export interface EchoServer {
  readonly port: number;
  readonly counters: Http2Counters;
  readonly connections: Set<Http2Connection>;
  close(): void;
}

/** @param wrap makes a byte stream of an accepted socket; plain when left out. */
export function echoServer(
  reactor: Reactor,
  wrap: (socket: TcpSocket) => ByteStream = (socket) => new PlainStream(socket, nobody),
): EchoServer {
  const counters = new Http2Counters();
  const connections = new Set<Http2Connection>();
  const listener = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, (socket) => {
    const connection: Http2Connection = new Http2Connection(wrap(socket), {
      role: 'server',
      settings: defaultHttp2Settings,
      counters,
      events: {
        onReady() {},
        onRequest: (stream) => new Echo(stream),
        onClosed: () => connections.delete(connection),
      },
    });
    connections.add(connection);
  });
  return { port: listener.localAddress.port, counters, connections, close: () => listener.close() };
}

/** One request of our client: sends bytes, hashes what comes back. */
export class HashingRequest implements Http2StreamHandler {
  readonly done: Promise<string>;
  status = '';
  received = 0;
  readonly #hash: Hash = createHash('sha256');
  readonly #resolve: (outcome: string) => void;
  #stream: Http2Stream | undefined;
  #writer: StreamWriter | undefined;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.done = promise;
    this.#resolve = resolve;
  }

  begin(connection: Http2Connection, headers: HeaderList, body: Buffer): void {
    this.#stream = connection.openStream(headers, this);
    if (this.#stream === undefined) {
      this.#resolve('no room');
      return;
    }
    this.#writer = new StreamWriter(this.#stream);
    this.#writer.write(body);
    this.#writer.end();
  }

  onHeaders(headers: HeaderList): void {
    if (this.status === '') this.status = headers.find(([name]) => name === ':status')![1];
  }

  onData(buffer: NativeBuffer, offset: number, length: number): void {
    this.received += length;
    this.#hash.update(buffer.bytes.subarray(offset, offset + length));
    this.#stream!.consumed(length);
  }

  onEnd(): void {
    this.#resolve(this.#hash.digest('hex'));
  }

  onReset(errorCode: number, origin: string): void {
    this.#resolve(`reset ${errorCode} ${origin}`);
  }

  onWritable(): void {
    this.#writer!.flush();
  }
}
