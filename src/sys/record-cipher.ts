/** Protects the records of one direction of a TLS 1.3 connection (RFC 8446 §5) with AES-GCM of OpenSSL. */

import { sysErrors } from './errors.ts';
import { addressAt, addressOf, furtherOn, lastingAddressOf, NativeBuffer } from './native-buffer.ts';
import { openssl } from './openssl.ts';
import { expandLabel } from './traffic-secrets.ts';

/** By number of the cipher suite (RFC 8446 §B.4): those that tls-context.ts allows. */
const SUITES = {
  4865: { hash: 'sha256', secretBytes: 32, keyBytes: 16, cipher: openssl.EVP_aes_128_gcm },
  4866: { hash: 'sha384', secretBytes: 48, keyBytes: 32, cipher: openssl.EVP_aes_256_gcm },
} as const;

export type CipherSuite = keyof typeof SUITES;

/** Where bytes are; whoever protects many records fills the same object anew for each. */
export interface Place {
  buffer: NativeBuffer;
  offset: number;
}

export const RECORD_HEADER_BYTES = 5;
export const TAG_BYTES = 16;
/** Header, content type and tag. */
export const RECORD_OVERHEAD = RECORD_HEADER_BYTES + 1 + TAG_BYTES;
/** Every record looks like application data of TLS 1.2 on the wire. */
export const OUTER_TYPE = 23;

const NONCE_BYTES = 12;
const CTRL_GET_TAG = 0x10;
const CTRL_SET_TAG = 0x11;

/** Shared by all calls of this thread: nonce, number of bytes written, header, content type, nothing. */
const cells = new NativeBuffer(64);
const noncePointer = lastingAddressOf(cells);
const countPointer = noncePointer + 16n;
const headerPointer = noncePointer + 24n;
const typePointer = noncePointer + 32n;
const unusedPointer = noncePointer + 40n;
const HEADER = 24;
const TYPE = 32;

export function isCipherSuite(number: number): number is CipherSuite {
  return number in SUITES;
}

export class RecordCipher {
  /** Records since the key is in use; RFC 8446 §5.5 bounds them. */
  records = 0;
  readonly #suite: (typeof SUITES)[CipherSuite];
  readonly #seals: boolean;
  readonly #iv = new Uint8Array(NONCE_BYTES);
  #secret: Uint8Array;
  #context: bigint;

  /** @throws AMBIT_TLS_CONTEXT_INVALID when OpenSSL has no memory */
  constructor(suite: CipherSuite, direction: 'seal' | 'open', secret: Uint8Array) {
    this.#suite = SUITES[suite];
    this.#seals = direction === 'seal';
    this.#secret = secret;
    this.#context = openssl.EVP_CIPHER_CTX_new();
    if (this.#context === 0n || !this.#useSecret()) {
      throw sysErrors.AMBIT_TLS_CONTEXT_INVALID('OpenSSL has no memory for the keys of a connection');
    }
  }

  /** Goes on to the next key (RFC 8446 §7.2). */
  update(): void {
    const { hash, secretBytes } = this.#suite;
    const next = expandLabel(hash, this.#secret, 'traffic upd', secretBytes);
    this.#secret.fill(0);
    this.#secret = next;
    this.#useSecret();
  }

  /**
   * Writes one record with `length` bytes of `source` to `target`; returns its length. The caller sees to it that `length` is at most
   * 2^14, and that there is room for it and RECORD_OVERHEAD.
   */
  seal(type: number, source: Place, length: number, target: Place): number {
    const sealedLength = length + 1 + TAG_BYTES;
    const record = addressAt(target.buffer, target.offset, RECORD_HEADER_BYTES + sealedLength);
    const content = furtherOn(record, RECORD_HEADER_BYTES);
    const end = furtherOn(content, length);
    const context = this.#context;
    cells.bytes[TYPE] = type;
    this.#putNonce();
    putHeader(target.buffer.bytes, target.offset, sealedLength);
    openssl.EVP_EncryptInit_ex(context, 0n, 0n, 0n, noncePointer);
    openssl.EVP_EncryptUpdate(context, 0n, countPointer, record, RECORD_HEADER_BYTES);
    if (length > 0) {
      const plain = addressAt(source.buffer, source.offset, length);
      openssl.EVP_EncryptUpdate(context, content, countPointer, plain, length);
    }
    openssl.EVP_EncryptUpdate(context, end, countPointer, typePointer, 1);
    openssl.EVP_EncryptFinal_ex(context, unusedPointer, countPointer);
    openssl.EVP_CIPHER_CTX_ctrl(context, CTRL_GET_TAG, TAG_BYTES, furtherOn(end, 1));
    return RECORD_HEADER_BYTES + sealedLength;
  }

  /**
   * Decrypts the `length` bytes behind a record's header to `target`, which may be where they are: content, type and
   * padding, TAG_BYTES fewer. False when they were not sealed with this key as this record: what is there is of no use.
   */
  open(source: Place, length: number, target: Place): boolean {
    const contentLength = length - TAG_BYTES;
    const content = addressAt(source.buffer, source.offset, length);
    const context = this.#context;
    const out = addressAt(target.buffer, target.offset, contentLength);
    this.#putNonce();
    putHeader(cells.bytes, HEADER, length);
    openssl.EVP_DecryptInit_ex(context, 0n, 0n, 0n, noncePointer);
    openssl.EVP_DecryptUpdate(context, 0n, countPointer, headerPointer, RECORD_HEADER_BYTES);
    openssl.EVP_DecryptUpdate(context, out, countPointer, content, contentLength);
    openssl.EVP_CIPHER_CTX_ctrl(context, CTRL_SET_TAG, TAG_BYTES, furtherOn(content, contentLength));
    if (openssl.EVP_DecryptFinal_ex(context, unusedPointer, countPointer) === 1) return true;
    openssl.ERR_clear_error();
    return false;
  }

  /** Not to be used any more. */
  free(): void {
    openssl.EVP_CIPHER_CTX_free(this.#context);
    this.#context = 0n;
    this.#secret.fill(0);
    this.#iv.fill(0);
  }

  #useSecret(): boolean {
    const { hash, keyBytes, cipher } = this.#suite;
    const key = new NativeBuffer(keyBytes);
    key.bytes.set(expandLabel(hash, this.#secret, 'key', keyBytes));
    this.#iv.set(expandLabel(hash, this.#secret, 'iv', NONCE_BYTES));
    this.records = 0;
    const init = this.#seals ? openssl.EVP_EncryptInit_ex : openssl.EVP_DecryptInit_ex;
    const result = init(this.#context, cipher(), 0n, addressOf(key), 0n);
    key.bytes.fill(0);
    return result === 1;
  }

  /** The number of the record, exclusive-ored into the end of the IV (RFC 8446 §5.3). */
  #putNonce(): void {
    const nonce = cells.bytes;
    for (let i = 0; i < NONCE_BYTES; i++) nonce[i] = this.#iv[i]!;
    let rest = this.records++;
    for (let i = NONCE_BYTES - 1; rest > 0; i--) {
      nonce[i]! ^= rest & 0xff;
      rest = Math.floor(rest / 256);
    }
  }
}

function putHeader(bytes: Uint8Array, at: number, length: number): void {
  bytes[at] = OUTER_TYPE;
  bytes[at + 1] = 3;
  bytes[at + 2] = 3;
  bytes[at + 3] = length >>> 8;
  bytes[at + 4] = length;
}
