/**
 * Carries frames between two interfaces of the namespace it runs in, as a bad line would: some are lost, some come twice,
 * some late, so that others overtake them. Tells at its end what it did.
 */

import { Reactor } from '../../src/io/reactor.ts';
import { NativeBuffer } from '../../src/sys/native-buffer.ts';
import { openPacketSocket, prepareToRelay } from '../../src/sys/packet-socket.ts';
import { exitProcess } from '../../src/sys/process-exit.ts';
import { readInto, writeFrom } from '../../src/sys/sockets.ts';
import { Random } from '../support/random.ts';

/** Percent of the frames. */
const LOST = 3;
const TWICE = 2;
const LATE = 25;
/** Longer than from one frame to the next, and far less than any timeout. */
const MAX_DELAY_MS = 20;
/** Segments that offloading has joined can be as large as IP allows. */
const MAX_FRAME_BYTES = 64 * 1024 + 64;

/** Of frames, both ways. */
export interface WireReport {
  carried: number;
  lost: number;
  twice: number;
  /** Left after one that had come later. */
  overtaken: number;
}

const report: WireReport = { carried: 0, lost: 0, twice: 0, overtaken: 0 };
const random = new Random(1);
const happens = (percent: number) => random.below(100) < percent;
const reactor = new Reactor();
const incoming = new NativeBuffer(MAX_FRAME_BYTES);
const outgoing = new NativeBuffer(MAX_FRAME_BYTES);

function carry(from: number, to: number): void {
  let arrived = 0;
  let newestSent = 0;
  const send = (frame: Uint8Array, number: number) => {
    outgoing.bytes.set(frame);
    if (writeFrom(to, outgoing, 0, frame.length) < 0) return;
    report.carried++;
    if (number < newestSent) report.overtaken++;
    newestSent = Math.max(newestSent, number);
  };
  const onFrame = (frame: Uint8Array) => {
    const number = ++arrived;
    if (happens(LOST)) report.lost++;
    else if (happens(LATE)) {
      const kept = Uint8Array.from(frame);
      setTimeout(() => send(kept, number), random.below(MAX_DELAY_MS));
    } else send(frame, number);
    if (!happens(TWICE)) return;
    report.twice++;
    send(frame, number);
  };
  const onEvents = () => {
    for (;;) {
      const length = readInto(from, incoming, 0, MAX_FRAME_BYTES);
      if (length <= 0) return;
      onFrame(incoming.bytes.subarray(0, length));
    }
  };
  reactor.register(from, { onEvents });
}

const [one, other] = process.argv.slice(2).map(openPacketSocket);
for (const fd of [one!, other!]) prepareToRelay(fd);
carry(one!, other!);
carry(other!, one!);
reactor.attachToNode();
process.stdin.once('end', () => process.stdout.end(JSON.stringify(report), () => exitProcess(0))).resume();
process.stdout.write('\n');
