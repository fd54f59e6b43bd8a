/** A program that does with connections what a waypoint does: ends the tunnel, and opens one of its own to the server. */

import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import type { TLSSocket } from 'node:tls';

/** Where the server's proxy is, and what to ask it for. */
const [folder, upstreamHost, upstreamPort] = process.argv.slice(2) as [string, string, string];
const read = (name: string) => readFileSync(`${folder}/${name}`);
const credentials = { key: read('key.pem'), cert: read('chain.pem'), ca: read('root.pem') };

/** The URI name of the other side. */
function identityOf(session: http2.Http2Session): string {
  const { subjectaltname } = (session.socket as TLSSocket).getPeerCertificate();
  return subjectaltname?.replace('URI:', '') ?? 'nobody';
}

const server = http2.createSecureServer({ ...credentials, requestCert: true, minVersion: 'TLSv1.3' });
server.on('sessionError', () => {});
server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
  const { ':method': method, ':authority': authority, forwarded, baggage } = headers;
  const client = identityOf(stream.session!);
  process.stdout.write(`${JSON.stringify({ method, authority, forwarded, baggage, client })}\n`);
  const session = http2.connect(`https://${upstreamHost}:15008`, {
    ...credentials,
    // Identities have no host name.
    checkServerIdentity: () => undefined,
  });
  const upstream = session.request({ ':method': 'CONNECT', ':authority': `${upstreamHost}:${upstreamPort}` });
  upstream.once('response', (response) => {
    stream.respond({ ':status': response[':status'] });
    stream.pipe(upstream).pipe(stream);
  });
  upstream.on('close', () => session.close());
  for (const one of [session, upstream]) one.on('error', () => stream.destroy());
  stream.on('error', () => upstream.destroy());
});
server.listen(15008, () => process.stdout.write('"listening"\n'));
