/** `ambit packets`: prints the TCP segments that pass an interface of the namespace it runs in. */

import { parseArgs } from 'node:util';
import { messageOf } from '../../base/errors.ts';
import { Reactor } from '../../io/reactor.ts';
import { NativeBuffer } from '../../sys/native-buffer.ts';
import { openPacketSocket } from '../../sys/packet-socket.ts';
import { exitProcess } from '../../sys/process-exit.ts';
import { readInto } from '../../sys/sockets.ts';
import { describeSegment, parseSegment } from './packet-text.ts';

/** Segments that offloading has joined can be as large as the kernel allows, which is 512 KiB, with their headers. */
const MAX_PACKET_BYTES = 512 * 1024 + 14;
const USAGE = 'Usage: ambit packets [--interface eth0]\n\nRuns until it is interrupted; needs CAP_NET_RAW.\n';

/** @param argv what follows `ambit packets` */
export async function runPackets(argv: readonly string[]): Promise<void> {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: { interface: { type: 'string', default: 'eth0' } },
    });
    capture(values.interface);
  } catch (thrown) {
    process.stderr.write(`ambit packets: ${messageOf(thrown)}\n${USAGE}`);
    exitProcess(1);
  }
}

function capture(interfaceName: string): void {
  const reactor = new Reactor();
  const fd = openPacketSocket(interfaceName);
  const buffer = new NativeBuffer(MAX_PACKET_BYTES);
  reactor.register(fd, {
    onEvents() {
      for (;;) {
        const length = readInto(fd, buffer, 0, MAX_PACKET_BYTES);
        if (length <= 0) return;
        const segment = parseSegment(buffer.bytes.subarray(0, length));
        if (segment !== undefined) process.stdout.write(`${describeSegment(segment)}\n`);
      }
    },
  });
  reactor.attachToNode();
  process.stderr.write(`listening on ${interfaceName}\n`);
  const keepAlive = setInterval(() => {}, 60_000);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      clearInterval(keepAlive);
      exitProcess(0);
    });
  }
}
