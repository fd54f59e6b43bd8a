/** One TLS connection of OpenSSL: handshake, sealing and opening of records, the peer's certificates. */

import { ERRNO } from './errno.ts';
import { sysErrors } from './errors.ts';
import { lastErrno } from './libc.ts';
import { addressAt, addressOf, lastingAddressOf, NativeBuffer } from './native-buffer.ts';
import * as o from './openssl.ts';
import { openssl } from './openssl.ts';
import { isCipherSuite, RecordCipher } from './record-cipher.ts';
import { contextHandle, TLS_READ_SIZE, type TlsContext } from './tls-context.ts';
import { acquireOutput, releaseOutput, type TlsOutput } from './tls-output.ts';
import { takeSecrets } from './traffic-secrets.ts';

/** Results of handshake, read and write besides a number of bytes. */
export const TLS_END = 0;
export const TLS_WAIT = -1;
export const TLS_FAILED = -2;

const ERROR_WANT_READ = 2;
const ERROR_WANT_WRITE = 3;
const ERROR_SYSCALL = 5;
const ERROR_ZERO_RETURN = 6;

/** The largest record with its header: what may lie half read in the buffer when a read(2) begins. */
const MAX_RECORD = 5 + 16384 + 256;

/** What ended a connection. */
export type TlsFailure =
  /** Our verification of the peer's certificate failed, or there was none. */
  | { readonly kind: 'peer-rejected'; readonly text: string }
  /** The peer said why it gives up. */
  | { readonly kind: 'alert'; readonly text: string }
  /** The stream ended without close_notify: whatever came last may be incomplete. */
  | { readonly kind: 'truncated' }
  | { readonly kind: 'socket'; readonly result: number }
  | { readonly kind: 'protocol'; readonly text: string };

/** What protects the records of each direction. */
export interface SessionCiphers {
  readonly inbound: RecordCipher;
  readonly outbound: RecordCipher;
}

const cells = new NativeBuffer(16);
const pointerCell = lastingAddressOf(cells);
const lengthCell = pointerCell + 8n;

/** Reads from the descriptor itself; output is collected and sent by {@link send}. Every method is safe after free(). */
export class TlsSession {
  /** Why the last handshake, read or write returned TLS_FAILED. */
  failure: TlsFailure | undefined;
  readonly #fd: number;
  readonly #role: 'client' | 'server';
  #ssl: bigint;
  readonly #source: bigint;
  /** Held while something waits in it. */
  #output: TlsOutput | undefined;
  /** Whose BIO OpenSSL writes to. */
  #attached: TlsOutput | undefined;
  /** Ciphertext bytes read so far, modulo 2^32, and whether the socket gave less than it was asked for at last. */
  #bytesRead = 0;
  #shortRead = false;
  /** The last read met the end of what is there within a record. */
  #recordCut = false;

  /** @throws AMBIT_TLS_CONTEXT_INVALID when the context is closed */
  constructor(context: TlsContext, fd: number) {
    this.#fd = fd;
    this.#role = context.role;
    this.#ssl = openssl.SSL_new(contextHandle(context));
    this.#source = openssl.BIO_new_socket(fd, 0);
    if (this.#ssl === 0n || this.#source === 0n) {
      throw sysErrors.AMBIT_TLS_CONTEXT_INVALID('OpenSSL has no memory for a connection');
    }
    openssl.SSL_set0_rbio(this.#ssl, this.#source);
    if (context.role === 'client') openssl.SSL_set_connect_state(this.#ssl);
    else openssl.SSL_set_accept_state(this.#ssl);
  }

  /** 1 when done, TLS_WAIT for more input, TLS_FAILED. In any case there may be output to send. */
  handshake(): number {
    if (!this.#ready()) return TLS_FAILED;
    openssl.ERR_clear_error();
    const result = openssl.SSL_do_handshake(this.#ssl);
    return result === 1 ? 1 : this.#explain(result, lastErrno());
  }

  /**
   * To be called once after the handshake. With TLS 1.3 alone allowed: what protects the records from now on, so that
   * read, write and closeNotify have had their time; undefined where they do it.
   */
  takeCiphers(): SessionCiphers | undefined {
    const secrets = takeSecrets(this.#ssl);
    const suite = openssl.SSL_CIPHER_get_protocol_id(openssl.SSL_get_current_cipher(this.#ssl));
    if (secrets === undefined || !isCipherSuite(suite)) return undefined;
    const [near, far] =
      this.#role === 'client' ? [secrets.client, secrets.server] : [secrets.server, secrets.client];
    return {
      outbound: new RecordCipher(suite, 'seal', near),
      inbound: new RecordCipher(suite, 'open', far),
    };
  }

  /** Decrypts into the buffer: bytes, TLS_END after close_notify, TLS_WAIT or TLS_FAILED. */
  read(buffer: NativeBuffer, offset: number, length: number): number {
    if (!this.#ready()) return TLS_FAILED;
    const count = openssl.SSL_read(this.#ssl, addressAt(buffer, offset, length), length);
    if (count > 0) return count;
    const result = this.#explain(count, lastErrno());
    if (result === TLS_WAIT) this.#recordCut = o.isWithinRecord(this.#ssl);
    return result;
  }

  /** Encrypts from the buffer, at most MAX_SEAL bytes after the last output was sent: bytes, TLS_WAIT or TLS_FAILED. */
  write(buffer: NativeBuffer, offset: number, length: number): number {
    if (!this.#ready()) return TLS_FAILED;
    const count = openssl.SSL_write(this.#ssl, addressAt(buffer, offset, length), length);
    return count > 0 ? count : this.#explain(count, lastErrno());
  }

  /** To be called before a series of reads: errors that other users of OpenSSL left behind are none of ours. */
  beginReading(): void {
    openssl.ERR_clear_error();
  }

  /**
   * Whether nothing is left in OpenSSL's buffer and the socket gave less than it was asked for at last, so that the
   * next read would only fetch EAGAIN. (Application data is read ahead: a read asks for a whole buffer.)
   */
  drained(): boolean {
    if (this.#ssl === 0n || openssl.SSL_has_pending(this.#ssl) === 1) return false;
    const bytesRead = openssl.BIO_number_read(this.#source);
    if (this.#recordCut) {
      // For the rest of a record OpenSSL asks for just that: getting all of it says nothing about what is behind.
      this.#recordCut = false;
      this.#bytesRead = bytesRead;
      this.#shortRead = false;
      return false;
    }
    const fresh = (bytesRead - this.#bytesRead) | 0;
    if (fresh !== 0) this.#shortRead = fresh > 0 && fresh < TLS_READ_SIZE - MAX_RECORD;
    this.#bytesRead = bytesRead;
    return this.#shortRead;
  }

  /** More has arrived at the socket: only reads from now on say whether that is all. */
  noteArrival(): void {
    this.#shortRead = false;
    if (this.#ssl !== 0n && openssl.SSL_has_pending(this.#ssl) === 1) this.#recordCut = true;
  }

  /** Sends collected records: 0 when all of them are out, -EAGAIN when some are left, or another negated errno. */
  send(): number {
    const output = this.#output;
    if (output === undefined) return 0;
    const result = output.sendTo(this.#fd);
    if (result === 0) {
      this.#output = undefined;
      releaseOutput(output);
    }
    return result;
  }

  /** Adds close_notify to the output. */
  closeNotify(): void {
    if (!this.#ready()) return;
    openssl.ERR_clear_error();
    openssl.SSL_shutdown(this.#ssl);
    openssl.ERR_clear_error();
  }

  get alpnProtocol(): string | undefined {
    if (this.#ssl === 0n) return undefined;
    openssl.SSL_get0_alpn_selected(this.#ssl, pointerCell, lengthCell);
    const length = cells.view.getUint32(8, true);
    return length === 0 ? undefined : o.textAt(cells.view.getBigUint64(0, true), length);
  }

  /** DER of the chain that was verified, leaf first, root last; empty without one. */
  verifiedChain(): Uint8Array[] {
    const chain = this.#ssl === 0n ? 0n : openssl.SSL_get0_verified_chain(this.#ssl);
    if (chain === 0n) return [];
    const count = openssl.OPENSSL_sk_num(chain);
    return Array.from({ length: count }, (_, i) => derOf(openssl.OPENSSL_sk_value(chain, i)));
  }

  /** Frees everything; what was not sent is lost. */
  free(): void {
    if (this.#ssl === 0n) return;
    takeSecrets(this.#ssl);
    openssl.SSL_free(this.#ssl);
    this.#ssl = 0n;
    if (this.#output === undefined) return;
    this.#output.clear();
    releaseOutput(this.#output);
    this.#output = undefined;
  }

  /** Sees to it that OpenSSL has somewhere to write to. */
  #ready(): boolean {
    if (this.#ssl === 0n) return false;
    if (this.#output !== undefined) return true;
    const output = acquireOutput();
    if (output !== this.#attached) {
      openssl.BIO_up_ref(output.sealed);
      openssl.SSL_set0_wbio(this.#ssl, output.sealed);
      this.#attached = output;
    }
    this.#output = output;
    return true;
  }

  #explain(result: number, errno: number): number {
    const code = openssl.SSL_get_error(this.#ssl, result);
    if (code === ERROR_WANT_READ || code === ERROR_WANT_WRITE) return TLS_WAIT;
    if (code === ERROR_ZERO_RETURN) return TLS_END;
    this.failure = code === ERROR_SYSCALL ? socketFailure(errno) : this.#failureOf(o.drainErrors());
    openssl.ERR_clear_error();
    return TLS_FAILED;
  }

  #failureOf(errors: readonly o.OpensslError[]): TlsFailure {
    const own = errors.find((error) => error.library === o.ERROR_LIB_SSL) ?? errors[0];
    const text = own?.text ?? 'unknown error';
    if (own?.reason === o.REASON_UNEXPECTED_EOF) return { kind: 'truncated' };
    if (own?.reason === o.REASON_NO_PEER_CERTIFICATE) return { kind: 'peer-rejected', text };
    if (own?.reason === o.REASON_CERTIFICATE_VERIFY_FAILED) {
      return { kind: 'peer-rejected', text: o.verifyErrorText(openssl.SSL_get_verify_result(this.#ssl)) };
    }
    return { kind: own !== undefined && own.reason >= o.REASON_ALERT_BASE ? 'alert' : 'protocol', text };
  }
}

/** An error without errno is an end of stream that OpenSSL did not expect. */
function socketFailure(errno: number): TlsFailure {
  return errno === 0 || errno === ERRNO.EAGAIN ? { kind: 'truncated' } : { kind: 'socket', result: -errno };
}

function derOf(certificate: bigint): Uint8Array {
  const der = new NativeBuffer(openssl.i2d_X509(certificate, 0n));
  cells.view.setBigUint64(0, addressOf(der), true);
  openssl.i2d_X509(certificate, pointerCell);
  return der.bytes;
}
