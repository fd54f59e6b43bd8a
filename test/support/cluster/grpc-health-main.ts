/** Runs in a pod: answers every call in gRPC's way with `SERVING`, for kubelet's gRPC probes. */

import { createServer, type ServerHttp2Stream } from 'node:http2';

/** A message of two bytes, not compressed: field 1, the status, is 1. */
const SERVING = Buffer.from([0, 0, 0, 0, 2, 0x08, 1]);

createServer()
  .on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(SERVING);
  })
  .listen(9090);
