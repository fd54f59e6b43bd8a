/** Runs in a pod as an application that counts its probes: HTTP for readiness, TCP for liveness. */

import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';

export const READINESS_PORT = 8080;
export const LIVENESS_PORT = 9000;

/** What it answers to anything but a probe. */
export interface ProbeCounts {
  readonly readiness: number;
  readonly liveness: number;
  /** Who has probed, by address. */
  readonly probers: readonly string[];
}

let readiness = 0;
let liveness = 0;
const probers = new Set<string>();

function note(address: string | undefined): void {
  probers.add((address ?? '').replace(/^::ffff:/, ''));
}

function serve(): void {
  createHttpServer((request, response) => {
    if (request.url === '/ready') {
      readiness++;
      note(request.socket.remoteAddress);
    }
    const counts: ProbeCounts = { readiness, liveness, probers: [...probers] };
    response.end(JSON.stringify(counts));
  }).listen(READINESS_PORT);
  createServer((socket) => {
    liveness++;
    note(socket.remoteAddress);
    socket.on('error', () => {}).end();
  }).listen(LIVENESS_PORT);
}

if (process.argv[1] === import.meta.filename) serve();
