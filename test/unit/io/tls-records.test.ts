/** Records of TLS 1.3 after the handshake, from a peer that says whatever the test wants. */

import assert from 'node:assert/strict';
import { createDecipheriv, randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { ByteQueue } from '../../../src/io/byte-queue.ts';
import { FAILED, TcpSocket, WOULD_BLOCK } from '../../../src/io/tcp-socket.ts';
import { RECORDS_END, TlsRecords } from '../../../src/io/tls-records.ts';
import { NativeBuffer } from '../../../src/sys/native-buffer.ts';
import { type CipherSuite, RecordCipher } from '../../../src/sys/record-cipher.ts';
import { openSocketPair } from '../../../src/sys/socket-pair.ts';
import { TlsContext } from '../../../src/sys/tls-context.ts';
import { expandLabel } from '../../../src/sys/traffic-secrets.ts';
import { testReactor, until } from '../../support/reactor-harness.ts';

const reactor = testReactor();
const ALERT = 21;
const HANDSHAKE = 22;
const DATA = 23;
const KEY_UPDATE = [24, 0, 0, 1, 0];
const SECRET = { 4865: 32, 4866: 48 } as const;

/** What the peer's end does by hand: it seals any content of any type. */
class Peer {
  readonly seal: RecordCipher;
  readonly open: RecordCipher;
  readonly socket: TcpSocket;

  constructor(suite: CipherSuite, secrets: readonly Uint8Array[], socket: TcpSocket) {
    this.seal = new RecordCipher(suite, 'seal', Uint8Array.from(secrets[0]!));
    this.open = new RecordCipher(suite, 'open', Uint8Array.from(secrets[1]!));
    this.socket = socket;
  }

  record(type: number, content: Uint8Array | readonly number[]): Buffer {
    const source = bufferOf(content);
    const target = new NativeBuffer(content.length + 64);
    const place = { buffer: target, offset: 0 };
    const length = this.seal.seal(type, { buffer: source, offset: 0 }, content.length, place);
    return Buffer.from(target.bytes.subarray(0, length));
  }

  write(bytes: Uint8Array): void {
    assert.equal(this.socket.sendFrom(bufferOf(bytes), 0, bytes.length), bytes.length);
  }

  /** Content and type of the one record that has come. */
  read(): { type: number; content: Buffer } {
    const buffer = new NativeBuffer(20_000);
    const count = this.socket.receiveInto(buffer, 0, buffer.size);
    const place = { buffer, offset: 5 };
    assert.ok(count > 5 && this.open.open(place, count - 5, place), `${count} bytes that cannot be opened`);
    const end = count - 17;
    return { type: buffer.bytes[end]!, content: Buffer.from(buffer.bytes.subarray(5, end)) };
  }
}

function bufferOf(bytes: Uint8Array | readonly number[]): NativeBuffer {
  const buffer = new NativeBuffer(bytes.length + 1);
  buffer.bytes.set(bytes);
  return buffer;
}

interface World {
  readonly peer: Peer;
  readonly records: TlsRecords;
  readonly socket: TcpSocket;
  readonly input: ByteQueue;
}

function makeWorld(suite: CipherSuite = 0x1301, role: 'client' | 'server' = 'client'): World {
  const secrets = [randomBytes(SECRET[suite]), randomBytes(SECRET[suite])];
  const [near, far] = openSocketPair().map((fd) => TcpSocket.accepted(reactor, fd)) as [TcpSocket, TcpSocket];
  after(() => {
    near.close();
    far.close();
  });
  const ciphers = {
    inbound: new RecordCipher(suite, 'open', Uint8Array.from(secrets[0]!)),
    outbound: new RecordCipher(suite, 'seal', Uint8Array.from(secrets[1]!)),
  };
  const peer = new Peer(suite, secrets, far);
  return { peer, records: new TlsRecords(ciphers, role), socket: near, input: new ByteQueue(256 * 1024) };
}

/** What fill() makes of those bytes; the alert that is sent for them, if one is. */
function outcome(world: World, bytes: Uint8Array): { result: number; alert: number | undefined } {
  world.peer.write(bytes);
  world.socket.expectReadable();
  let result = world.records.fill(world.socket, world.input);
  while (result > 0) result = world.records.fill(world.socket, world.input);
  if (!world.records.hasOutput) return { result, alert: undefined };
  assert.equal(world.records.send(world.socket.fd), 0);
  world.peer.socket.expectReadable();
  const { type, content } = world.peer.read();
  assert.equal(type, ALERT);
  return { result, alert: content[1]! };
}

test('keys are derived as RFC 8448 §3 shows', () => {
  const secret = Buffer.from('a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643', 'hex');
  const key = Buffer.from(expandLabel('sha256', secret, 'key', 16)).toString('hex');
  const iv = Buffer.from(expandLabel('sha256', secret, 'iv', 12)).toString('hex');
  assert.equal(key, '9f02283b6c9c07efc26bb9f2ac92e356');
  assert.equal(iv, 'cf782b88dd83549aadf1e984');
});

test('every record has a nonce of its own, as RFC 8446 §5.3 makes it', () => {
  const secret = randomBytes(32);
  const key = expandLabel('sha256', secret, 'key', 16);
  const iv = Buffer.from(expandLabel('sha256', secret, 'iv', 12)).toString('hex');
  const cipher = new RecordCipher(0x1301, 'seal', Uint8Array.from(secret));
  const content = bufferOf([1, 2, 3]);
  const record = new NativeBuffer(64);
  for (let number = 0; number < 66_000; number++) {
    cipher.seal(DATA, { buffer: content, offset: 0 }, 3, { buffer: record, offset: 0 });
    if (number % 256 > 1 && number % 256 < 255) continue;
    const nonce = (BigInt(`0x${iv}`) ^ BigInt(number)).toString(16).padStart(24, '0');
    const open = createDecipheriv('aes-128-gcm', key, Buffer.from(nonce, 'hex'), { authTagLength: 16 });
    open.setAAD(record.bytes.subarray(0, 5)).setAuthTag(record.bytes.subarray(9, 25));
    const plain = Buffer.concat([open.update(record.bytes.subarray(5, 9)), open.final()]);
    assert.deepEqual([...plain], [1, 2, 3, DATA]);
  }
  cipher.free();
});

for (const suite of [0x1301, 0x1302] as const) {
  test(`what the peer seals with suite ${suite} is opened, cut and padded as it likes, keys changing`, () => {
    const piece = fc.record({
      content: fc.uint8Array({ minLength: 1, maxLength: 2000 }),
      padding: fc.nat(50),
      updates: fc.boolean(),
      cut: fc.nat(100),
    });
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 12 }), (pieces) => {
        const world = makeWorld(suite);
        const { peer, records, socket, input } = world;
        for (const { content, padding, updates, cut } of pieces) {
          // The type and zeros are the end of what a seal of type 0 is given.
          const bytes = peer.record(0, [...content, DATA, ...new Uint8Array(padding)]);
          const all = updates ? Buffer.concat([bytes, peer.record(HANDSHAKE, KEY_UPDATE)]) : bytes;
          if (updates) peer.seal.update();
          for (const part of [all.subarray(0, cut), all.subarray(cut)]) {
            if (part.length > 0)
              assert.deepEqual(outcome(world, part), { result: WOULD_BLOCK, alert: undefined });
          }
        }
        const wanted = Buffer.concat(pieces.map((one) => one.content));
        assert.ok(wanted.equals(input.buffer.bytes.subarray(input.start, input.end)));
        records.free();
        socket.close();
      }),
      { numRuns: 30 },
    );
  });
}

test('a record for which there is no room is given in parts', () => {
  const world = makeWorld();
  const input = new ByteQueue(1000);
  const content = randomBytes(2500);
  world.peer.write(world.peer.record(DATA, content));
  world.socket.expectReadable();
  const got: Buffer[] = [];
  for (const count of [1000, 1000, 500]) {
    assert.equal(world.records.fill(world.socket, input), count);
    got.push(Buffer.from(input.buffer.bytes.subarray(0, count)));
    input.clear();
  }
  assert.ok(Buffer.concat(got).equals(content));
  assert.equal(world.records.fill(world.socket, input), WOULD_BLOCK);
});

test('close_notify is the end, and nothing behind it is looked at', () => {
  const world = makeWorld();
  const bytes = [world.peer.record(ALERT, [1, 0]), Buffer.from('GET / HTTP/1.1\r\n')];
  assert.deepEqual(outcome(world, Buffer.concat(bytes)), { result: RECORDS_END, alert: undefined });
});

test('another alert is told by its name and not answered; user_canceled is none', () => {
  // OpenSSL has its texts ready once it has made a context.
  new TlsContext({ role: 'client', alpn: [], requirePeerCertificate: false }).close();
  const world = makeWorld();
  assert.equal(outcome(world, world.peer.record(ALERT, [1, 90])).result, WOULD_BLOCK);
  assert.deepEqual(outcome(world, world.peer.record(ALERT, [2, 48])), { result: FAILED, alert: undefined });
  assert.deepEqual(world.records.failure, { kind: 'alert', text: 'tlsv1 alert unknown ca' });
});

test('an end without close_notify is a truncation', async () => {
  const world = makeWorld();
  world.peer.socket.close();
  await until(() => {
    world.socket.expectReadable();
    return world.records.fill(world.socket, world.input) === FAILED;
  });
  assert.deepEqual(world.records.failure, { kind: 'truncated' });
});

test('a session ticket is ignored by a client, also in parts, and refused by a server', () => {
  const ticket = [4, 0, 0, 10, ...randomBytes(10)];
  const client = makeWorld(0x1301, 'client');
  assert.equal(outcome(client, client.peer.record(HANDSHAKE, ticket.slice(0, 3))).result, WOULD_BLOCK);
  assert.equal(
    outcome(client, client.peer.record(HANDSHAKE, [...ticket.slice(3), ...ticket])).result,
    WOULD_BLOCK,
  );
  const server = makeWorld(0x1301, 'server');
  assert.deepEqual(outcome(server, server.peer.record(HANDSHAKE, ticket)), { result: FAILED, alert: 10 });
});

test('asked for a change of keys, however often, the other side changes its own once', () => {
  const { peer, records, socket, input } = makeWorld();
  for (let i = 0; i < 20; i++) {
    peer.write(peer.record(HANDSHAKE, [24, 0, 0, 1, 1]));
    peer.seal.update();
  }
  socket.expectReadable();
  assert.equal(records.fill(socket, input), WOULD_BLOCK);
  assert.equal(records.hasOutput, true);
  const output = new ByteQueue(1000);
  assert.equal(records.seal(output), true);
  assert.equal(records.send(socket.fd), 0);
  peer.socket.expectReadable();
  assert.deepEqual([...peer.read().content], KEY_UPDATE);
  peer.open.update();
  output.append(Buffer.from('hello'));
  assert.equal(records.seal(output), true);
  records.send(socket.fd);
  peer.socket.expectReadable();
  assert.equal(peer.read().content.toString(), 'hello');
  assert.equal(records.seal(output), false);
});

const faults: [string, number, (peer: Peer) => Uint8Array][] = [
  ['a record in plain text', 10, () => Uint8Array.of(21, 3, 3, 0, 2, 2, 40)],
  ['a change_cipher_spec', 10, () => Uint8Array.of(20, 3, 3, 0, 1, 1)],
  ['a record that is longer than any may be', 22, () => Uint8Array.of(23, 3, 3, 0x41, 1)],
  ['a record that has no room for a tag', 20, () => Uint8Array.of(23, 3, 3, 0, 16, ...new Uint8Array(16))],
  ['content of more than 16 KiB', 22, (peer) => peer.record(DATA, new Uint8Array(16_385))],
  ['a record of nothing but zeros', 10, (peer) => peer.record(0, new Uint8Array(20))],
  ['content of an unknown type', 10, (peer) => peer.record(99, [1])],
  ['an alert of one byte', 50, (peer) => peer.record(ALERT, [2])],
  ['an empty handshake record', 10, (peer) => peer.record(HANDSHAKE, [])],
  ['a handshake message that has no place here', 10, (peer) => peer.record(HANDSHAKE, [1, 0, 0, 0])],
  ['a handshake message of a megabyte', 50, (peer) => peer.record(HANDSHAKE, [4, 16, 0, 0])],
  ['KeyUpdate of two bytes', 50, (peer) => peer.record(HANDSHAKE, [24, 0, 0, 2, 0, 0])],
  ['KeyUpdate with an unknown wish', 47, (peer) => peer.record(HANDSHAKE, [24, 0, 0, 1, 2])],
  ['a record that goes on behind KeyUpdate', 10, (peer) => peer.record(HANDSHAKE, [...KEY_UPDATE, 4])],
  [
    'data within a handshake message',
    10,
    (peer) => Buffer.concat([peer.record(HANDSHAKE, [4, 0]), peer.record(DATA, [1])]),
  ],
  [
    'a flood of empty records',
    10,
    (peer) => Buffer.concat(Array.from({ length: 33 }, () => peer.record(DATA, []))),
  ],
  [
    'a record that is replayed',
    20,
    (peer) => {
      const one = peer.record(DATA, [1]);
      return Buffer.concat([one, one]);
    },
  ],
];

for (const [what, alert, make] of faults) {
  test(`${what} ends the connection with alert ${alert}`, () => {
    const world = makeWorld();
    assert.deepEqual(outcome(world, make(world.peer)), { result: FAILED, alert });
    assert.equal(world.records.failure?.kind, 'protocol');
  });
}

test('a change of any one bit of a record is noticed', () => {
  const world = makeWorld();
  const record = world.peer.record(DATA, randomBytes(40));
  for (let bit = 5 * 8; bit < record.length * 8; bit += 7) {
    const fresh = makeWorld();
    const changed = Buffer.from(fresh.peer.record(DATA, randomBytes(40)));
    changed[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(outcome(fresh, changed).alert, 20);
    assert.equal(fresh.input.length, 0);
  }
});
