/** The traffic secrets of TLS 1.3 connections (RFC 8446 §7.1), which OpenSSL tells to whoever logs keys. */

import { createHmac } from 'node:crypto';
import { ffi, self } from './ffi.ts';
import { openssl } from './openssl.ts';

/** The first application traffic secret of each side. */
export interface TrafficSecrets {
  readonly client: Uint8Array;
  readonly server: Uint8Array;
}

type Hash = 'sha256' | 'sha384';

const LABELS = { CLIENT_TRAFFIC_SECRET_0: 'client', SERVER_TRAFFIC_SECRET_0: 'server' } as const;

/** By connection, from the handshake until somebody takes them or the connection is freed. */
const told = new Map<bigint, { client?: Uint8Array; server?: Uint8Array }>();

/** void (*)(const SSL *, const char *line): `LABEL <client random> <secret>`, the latter two in hexadecimal. */
const keyLogCallback = self.registerCallback(
  { arguments: ['pointer', 'pointer'], return: 'void' },
  (ssl, line) => {
    const [label, , secret] = (ffi.toString(line as bigint) ?? '').split(' ');
    if (secret === undefined || !isWanted(label)) return;
    const known = told.get(ssl as bigint) ?? {};
    told.set(ssl as bigint, { ...known, [LABELS[label]]: Buffer.from(secret, 'hex') });
  },
);

/** Connections of this context tell their secrets during the handshake. */
export function collectSecrets(context: bigint): void {
  openssl.SSL_CTX_set_keylog_callback(context, keyLogCallback);
}

/** The secrets of a connection, once; undefined when there are none, as with TLS 1.2. */
export function takeSecrets(ssl: bigint): TrafficSecrets | undefined {
  const { client, server } = told.get(ssl) ?? {};
  told.delete(ssl);
  return client === undefined || server === undefined ? undefined : { client, server };
}

/** HKDF-Expand-Label (RFC 8446 §7.1) without context, of at most the hash's length. */
export function expandLabel(hash: Hash, secret: Uint8Array, label: string, length: number): Uint8Array {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.from([0, length, name.length, ...name, 0, 1]);
  return createHmac(hash, secret).update(info).digest().subarray(0, length);
}

function isWanted(label: string | undefined): label is keyof typeof LABELS {
  return label !== undefined && label in LABELS;
}
