/** Application protocol negotiation (RFC 7301): what clients offer, what a server picks. */

import { ffi, self } from './ffi.ts';
import { addressOf, NativeBuffer } from './native-buffer.ts';
import { openssl } from './openssl.ts';

const SELECTED = 0;
const ALERT_FATAL = 2;

/** By number, which OpenSSL hands to the callback. A context may be closed before its last handshake: kept for good. */
const served = new Map<bigint, NativeBuffer>();
const numbers = new Map<string, bigint>();

/** Each protocol behind its length in one byte, as in the extension. */
export function alpnWireFormat(protocols: readonly string[]): Uint8Array {
  return Uint8Array.from(
    protocols.flatMap((protocol) => [protocol.length, ...new TextEncoder().encode(protocol)]),
  );
}

export function offerAlpn(context: bigint, protocols: Uint8Array): void {
  const buffer = native(protocols);
  openssl.SSL_CTX_set_alpn_protos(context, addressOf(buffer), protocols.length);
  // Mentioned once more, so that it is not collected before it was copied.
  buffer.bytes.fill(0);
}

/** Makes a server context pick the first of `protocols` that the client offers. */
export function selectAlpn(context: bigint, protocols: Uint8Array): void {
  const key = protocols.join();
  const number = numbers.get(key) ?? BigInt(numbers.size + 1);
  if (!numbers.has(key)) served.set(number, native(protocols));
  numbers.set(key, number);
  openssl.SSL_CTX_set_alpn_select_cb(context, selectCallback, number);
}

/** The place in `ours` of the first protocol that is in `theirs` too, both in wire format; -1 without one. */
export function firstCommonProtocol(ours: Uint8Array, theirs: Uint8Array): number {
  for (let own = 0; own < ours.length; own += 1 + ours[own]!) {
    for (let their = 0; their < theirs.length; their += 1 + theirs[their]!) {
      const mine = Buffer.from(ours.subarray(own, own + 1 + ours[own]!));
      if (mine.equals(theirs.subarray(their, their + 1 + theirs[their]!))) return own;
    }
  }
  return -1;
}

/** int (*)(SSL *, const unsigned char **out, unsigned char *outlen, const unsigned char *in, unsigned inlen, void *) */
const selectCallback = self.registerCallback(
  { arguments: ['pointer', 'pointer', 'pointer', 'pointer', 'u32', 'pointer'], return: 'i32' },
  (_ssl, out, outLength, offered, offeredLength, number) => {
    const ours = served.get(number as bigint);
    if (ours === undefined) return ALERT_FATAL;
    const theirs = new Uint8Array(ffi.toArrayBuffer(offered as bigint, offeredLength, true));
    const place = firstCommonProtocol(ours.bytes, theirs);
    if (place < 0) return ALERT_FATAL;
    ffi.setUint64(out as bigint, 0, addressOf(ours) + BigInt(place + 1));
    ffi.setUint8(outLength as bigint, 0, ours.bytes[place]!);
    return SELECTED;
  },
);

function native(bytes: Uint8Array): NativeBuffer {
  const buffer = new NativeBuffer(bytes.length);
  buffer.bytes.set(bytes);
  return buffer;
}
