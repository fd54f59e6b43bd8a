/** A program that does what an east-west gateway does: ends the outer tunnel, and passes the inner one on unread. */

import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { connect } from 'node:net';

const [folder, upstreamHost] = process.argv.slice(2) as [string, string];
const read = (name: string) => readFileSync(`${folder}/${name}`);

const server = http2.createSecureServer({
  key: read('key.pem'),
  cert: read('chain.pem'),
  ca: read('root.pem'),
  requestCert: true,
  minVersion: 'TLSv1.3',
});
server.on('sessionError', () => {});
server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
  process.stdout.write(`${headers[':method']} ${headers[':authority']}\n`);
  const upstream = connect(15008, upstreamHost);
  upstream.on('connect', () => {
    stream.respond({ ':status': 200 });
    stream.pipe(upstream).pipe(stream);
  });
  stream.on('error', () => upstream.destroy());
  upstream.on('error', () => stream.destroy());
});
server.listen(15008, () => process.stdout.write('listening\n'));
