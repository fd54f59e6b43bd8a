/** A byte stream whose other end has proved who it is. */

import type { ByteStream } from '../io/byte-stream.ts';

/** What TlsStream is, as far as tunnels care. */
export interface SecureStream extends ByteStream {
  /** DER, leaf first; verified up to a trusted root. */
  peerCertificateChain(): Uint8Array[];
}
