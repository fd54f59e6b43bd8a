/** Packets of a pod's loopback device, looked at as they pass. */

import assert from 'node:assert/strict';
import { release } from 'node:os';
import { after, test } from 'node:test';
import { TcpListener } from '../../src/io/tcp-listener.ts';
import { TcpSocket } from '../../src/io/tcp-socket.ts';
import { enlargeLoopbackPackets } from '../../src/sys/loopback-device.ts';
import { NativeBuffer } from '../../src/sys/native-buffer.ts';
import { openPacketSocket } from '../../src/sys/packet-socket.ts';
import { closeDescriptor, readInto } from '../../src/sys/sockets.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { PodNamespace } from '../support/pod-namespace.ts';
import { address, testReactor, until } from '../support/reactor-harness.ts';

const LEGACY_MAX_BYTES = 65_536 + 14;
const CHUNK_BYTES = 512 * 1024;
const TOTAL_BYTES = 64 * CHUNK_BYTES;
const [major = 0, minor = 0] = release().split('.').map(Number);
const HAS_LARGE_PACKETS = major > 6 || (major === 6 && minor >= 3);

inOwnNamespaces(import.meta.filename, () => {
  const reactor = testReactor();
  const pod = new PodNamespace();
  const { namespace } = pod;
  const chunk = new NativeBuffer(CHUNK_BYTES);
  after(() => pod.close());

  /** The length of the largest packet, with its headers, of a stream of some MB; every byte of it is counted. */
  async function largestPacket(): Promise<number> {
    let received = 0;
    let largest = 0;
    const packets = namespace.run(() => openPacketSocket('lo'));
    const look = () => {
      for (let length = 1; length > 0; largest = Math.max(largest, length)) {
        length = readInto(packets, chunk, 0, chunk.size);
      }
    };
    const server = TcpListener.listen(reactor, address('127.0.0.1:0'), { namespace }, (socket) => {
      socket.handler = {
        onReadable() {
          for (let count = 1; count > 0; received += Math.max(count, 0)) {
            count = socket.receiveInto(chunk, 0, chunk.size);
            look();
          }
        },
        onWritable() {},
        onClosed() {},
      };
      socket.handler.onReadable();
    });
    let sent = 0;
    const send = () => {
      for (let count = 1; count > 0 && sent < TOTAL_BYTES; sent += Math.max(count, 0)) {
        count = client.sendFrom(chunk, 0, Math.min(chunk.size, TOTAL_BYTES - sent));
      }
    };
    const client = TcpSocket.connect(
      reactor,
      server.localAddress,
      { namespace },
      { onConnected: send, onReadable() {}, onWritable: send, onClosed() {} },
    );
    await until(() => received === TOTAL_BYTES, 'the whole stream');
    client.close();
    server.close();
    closeDescriptor(packets);
    return largest;
  }

  test('a pod has packets of 64 KiB at most until they may be larger', async () => {
    assert.ok((await largestPacket()) <= LEGACY_MAX_BYTES);
    assert.equal(namespace.run(enlargeLoopbackPackets), 0);
    assert.equal((await largestPacket()) > LEGACY_MAX_BYTES, HAS_LARGE_PACKETS);
    assert.equal(namespace.run(enlargeLoopbackPackets), 0, 'a second time it changes nothing');
  });
});
