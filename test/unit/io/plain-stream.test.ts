/** Byte streams without encryption over loopback sockets. */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import type { AmbitError } from '../../../src/base/errors.ts';
import type { SocketAddress } from '../../../src/base/ip.ts';
import { BULK_BYTES } from '../../../src/io/buffered-stream.ts';
import { Lane } from '../../../src/io/lane.ts';
import { PlainStream } from '../../../src/io/plain-stream.ts';
import { TcpListener } from '../../../src/io/tcp-listener.ts';
import { TcpSocket } from '../../../src/io/tcp-socket.ts';
import { address, testReactor, until, useUpSlice } from '../../support/reactor-harness.ts';
import { StreamRecorder } from '../../support/stream-recorder.ts';

const reactor = testReactor();

type Recorder = StreamRecorder<PlainStream>;

/** A client's stream to that address, as it begins. */
function dial(remote: SocketAddress): Recorder {
  const near = new StreamRecorder<PlainStream>();
  near.stream = new PlainStream(TcpSocket.connect(reactor, remote, {}), near);
  return near;
}

/** Both ends of a connection that is about to be. */
function beginPair<R extends Recorder = Recorder>(
  far: R = new StreamRecorder<PlainStream>() as R,
  lane?: Lane,
): { near: Recorder; far: R } {
  const listener = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, (socket) => {
    far.stream = new PlainStream(socket, far, lane);
  });
  after(() => listener.close());
  return { near: dial(listener.localAddress), far };
}

async function pair(): Promise<{ near: Recorder; far: Recorder }> {
  const made = beginPair();
  await until(() => made.near.opened && made.far.opened);
  return made;
}

test('50 MB in odd pieces arrive byte for byte, both ways at once, and both ends close', async () => {
  const { near, far } = await pair();
  const data = randomBytes(50 * 1024 * 1024);
  const hashes = [near, far].map((recorder) => {
    const hash = createHash('sha256');
    recorder.onBytes = (bytes) => hash.update(bytes);
    return hash;
  });
  near.sendAll(data, [1, 100_000, 4097]);
  far.sendAll(data, [65_536, 3]);
  await Promise.all([near.untilClosed(), far.untilClosed()]);
  const expected = createHash('sha256').update(data).digest('hex');
  assert.deepEqual(
    hashes.map((hash) => hash.digest('hex')),
    [expected, expected],
  );
  assert.deepEqual([near.error, far.error, near.closed, far.closed], [undefined, undefined, 1, 1]);
});

test('what is appended before the connection stands is sent when it does', async () => {
  const { near, far } = beginPair();
  near.send('early');
  near.stream.shutdownOutput();
  await until(() => far.inputEnded);
  assert.equal(far.text, 'early');
  far.stream.close();
  await near.untilClosed();
});

/** Takes one byte at a time, and leaves the rest to another turn. */
class Nibbler extends StreamRecorder<PlainStream> {
  nibbled = '';

  override onInput(): void {
    const { input } = this.stream;
    this.nibbled += String.fromCharCode(input.buffer.bytes[input.start]!);
    input.consume(1);
    if (input.length > 0) this.stream.yieldInput();
  }
}

for (const [where, lane] of [
  ['on its own', undefined],
  ['in a lane', new Lane(reactor, () => {})],
] as const) {
  test(`a stream ${where} offers again what was left, before the end and with nothing more from the peer`, async () => {
    const { near, far } = beginPair(new Nibbler(), lane);
    near.send('first');
    await until(() => far.nibbled === 'first');
    near.send(' and last');
    near.stream.shutdownOutput();
    await until(() => far.inputEnded);
    assert.equal(far.nibbled, 'first and last');
    far.stream.close();
    await near.untilClosed();
  });
}

test('a failed connection closes the stream once, without opening it', async () => {
  const listener = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, () => {});
  listener.close();
  const near = dial(listener.localAddress);
  await near.untilClosed();
  assert.equal(near.opened, false);
  assert.equal(near.error?.code, 'AMBIT_CONNECT_REFUSED');
});

test('bytes that came before the stream was made are delivered', async () => {
  let accepted: TcpSocket | undefined;
  const listener = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, (socket) => {
    accepted = socket;
  });
  after(() => listener.close());
  const near = dial(listener.localAddress);
  await near.untilOpen();
  near.send('waiting');
  let told = false;
  await until(() => accepted !== undefined);
  accepted!.handler = {
    onReadable() {
      told = true;
    },
    onWritable() {},
    onClosed() {},
  };
  await until(() => told);
  const far = new StreamRecorder<PlainStream>();
  far.stream = new PlainStream(accepted!, far);
  await until(() => far.text === 'waiting');
  far.stream.close();
  await until(() => near.inputEnded);
  near.stream.close();
});

test('behind much output the next comes with long work, and soon again when that was little', async () => {
  const { near } = await pair();
  const { output } = near.stream;
  output.append(Buffer.alloc(BULK_BYTES));
  near.stream.flushSoon();
  await until(() => output.length === 0);
  const left = ['behind long work', 'before it'].map((text) => {
    reactor.deferLong({ run: useUpSlice });
    near.send(text);
    reactor.turn(0);
    const { length } = output;
    reactor.turn(0);
    return [length, output.length];
  });
  assert.deepEqual(left, [
    ['behind long work'.length, 0],
    [0, 0],
  ]);
  near.stream.close();
});

test('a paused stream takes nothing and hears nothing, then everything', async () => {
  const { near, far } = await pair();
  far.stream.pauseInput();
  const data = randomBytes(20 * 1024 * 1024);
  near.sendAll(data, [30_000]);
  await until(() => near.stream.outputSpace() === 0);
  assert.equal(far.receivedBytes, 0);
  far.stream.resumeInput();
  await until(() => far.inputEnded);
  assert.equal(far.receivedBytes, data.length);
  far.stream.close();
  await near.untilClosed();
});

test('close(error) resets the peer and tells the handler that error', async () => {
  const { near, far } = await pair();
  const error = { code: 'TEST' } as AmbitError;
  near.stream.close(error);
  near.stream.close();
  assert.deepEqual([near.error, near.closed], [error, 1]);
  await far.untilClosed();
  assert.equal(far.error?.code, 'AMBIT_DOWNSTREAM_RESET');
});

test('an exception out of a handler closes that stream with an error', async () => {
  const { near, far } = await pair();
  far.onBytes = () => {
    throw new Error('thrown on purpose');
  };
  near.send('x');
  await far.untilClosed();
  assert.equal(far.error?.code, 'AMBIT_HANDLER_FAILED');
  await near.untilClosed();
});

test('a reset after the end of input is noticed although nobody reads any more', async () => {
  const { near, far } = await pair();
  near.stream.shutdownOutput();
  await until(() => far.inputEnded);
  near.stream.close({} as AmbitError);
  await far.untilClosed();
  assert.equal(far.error?.code, 'AMBIT_DOWNSTREAM_RESET');
});
