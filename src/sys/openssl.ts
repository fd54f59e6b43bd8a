/** The functions of the OpenSSL that is linked into node, with signatures node:ffi can call. */

import { directFunctions, ffi } from './ffi.ts';
import './process-exit.ts';

const INT = 'i32';
const LONG = 'i64';
const SIZE = 'u64';
const POINTER = 'pointer';
const STRING = 'string';
const VOID = 'void';

export const openssl = directFunctions({
  BIO_ctrl: { arguments: [POINTER, INT, LONG, POINTER], return: INT },
  BIO_free: { arguments: [POINTER], return: INT },
  BIO_new_bio_pair: { arguments: [POINTER, SIZE, POINTER, SIZE], return: INT },
  BIO_new_mem_buf: { arguments: [POINTER, INT], return: POINTER },
  BIO_new_socket: { arguments: [INT, INT], return: POINTER },
  BIO_nread: { arguments: [POINTER, POINTER, INT], return: INT },
  BIO_nread0: { arguments: [POINTER, POINTER], return: INT },
  // Really 64 bits wide: only differences of it are looked at, and no BigInt is wanted.
  BIO_number_read: { arguments: [POINTER], return: INT },
  BIO_up_ref: { arguments: [POINTER], return: INT },
  ERR_clear_error: { arguments: [], return: VOID },
  ERR_get_error: { arguments: [], return: SIZE },
  ERR_reason_error_string: { arguments: [SIZE], return: POINTER },
  EVP_CIPHER_CTX_ctrl: { arguments: [POINTER, INT, INT, POINTER], return: INT },
  EVP_CIPHER_CTX_free: { arguments: [POINTER], return: VOID },
  EVP_CIPHER_CTX_new: { arguments: [], return: POINTER },
  EVP_DecryptFinal_ex: { arguments: [POINTER, POINTER, POINTER], return: INT },
  EVP_DecryptInit_ex: { arguments: [POINTER, POINTER, POINTER, POINTER, POINTER], return: INT },
  EVP_DecryptUpdate: { arguments: [POINTER, POINTER, POINTER, POINTER, INT], return: INT },
  EVP_EncryptFinal_ex: { arguments: [POINTER, POINTER, POINTER], return: INT },
  EVP_EncryptInit_ex: { arguments: [POINTER, POINTER, POINTER, POINTER, POINTER], return: INT },
  EVP_EncryptUpdate: { arguments: [POINTER, POINTER, POINTER, POINTER, INT], return: INT },
  EVP_PKEY_free: { arguments: [POINTER], return: VOID },
  EVP_aes_128_gcm: { arguments: [], return: POINTER },
  EVP_aes_256_gcm: { arguments: [], return: POINTER },
  OPENSSL_sk_num: { arguments: [POINTER], return: INT },
  OPENSSL_sk_value: { arguments: [POINTER, INT], return: POINTER },
  PEM_read_bio_PrivateKey: { arguments: [POINTER, POINTER, POINTER, POINTER], return: POINTER },
  PEM_read_bio_X509: { arguments: [POINTER, POINTER, POINTER, POINTER], return: POINTER },
  SSL_CIPHER_get_protocol_id: { arguments: [POINTER], return: 'u16' },
  SSL_CTX_check_private_key: { arguments: [POINTER], return: INT },
  SSL_CTX_ctrl: { arguments: [POINTER, INT, LONG, POINTER], return: LONG },
  SSL_CTX_free: { arguments: [POINTER], return: VOID },
  SSL_CTX_get_cert_store: { arguments: [POINTER], return: POINTER },
  SSL_CTX_new: { arguments: [POINTER], return: POINTER },
  SSL_CTX_set_alpn_protos: { arguments: [POINTER, POINTER, INT], return: INT },
  SSL_CTX_set_alpn_select_cb: { arguments: [POINTER, POINTER, POINTER], return: VOID },
  SSL_CTX_set_cipher_list: { arguments: [POINTER, STRING], return: INT },
  SSL_CTX_set_ciphersuites: { arguments: [POINTER, STRING], return: INT },
  SSL_CTX_set_default_read_buffer_len: { arguments: [POINTER, SIZE], return: VOID },
  SSL_CTX_set_keylog_callback: { arguments: [POINTER, POINTER], return: VOID },
  SSL_CTX_set_num_tickets: { arguments: [POINTER, SIZE], return: INT },
  SSL_CTX_set_options: { arguments: [POINTER, SIZE], return: SIZE },
  SSL_CTX_set_verify: { arguments: [POINTER, INT, POINTER], return: VOID },
  SSL_CTX_set_verify_depth: { arguments: [POINTER, INT], return: VOID },
  SSL_CTX_use_PrivateKey: { arguments: [POINTER, POINTER], return: INT },
  SSL_CTX_use_certificate: { arguments: [POINTER, POINTER], return: INT },
  // A parameter of type `function` keeps V8 from compiling a direct call, out of which the ALPN callback must not run.
  SSL_do_handshake: { arguments: ['function'], return: INT },
  SSL_free: { arguments: [POINTER], return: VOID },
  SSL_get0_alpn_selected: { arguments: [POINTER, POINTER, POINTER], return: VOID },
  SSL_get0_verified_chain: { arguments: [POINTER], return: POINTER },
  SSL_get_current_cipher: { arguments: [POINTER], return: POINTER },
  SSL_get_error: { arguments: [POINTER, INT], return: INT },
  SSL_get_verify_result: { arguments: [POINTER], return: INT },
  SSL_has_pending: { arguments: [POINTER], return: INT },
  SSL_new: { arguments: [POINTER], return: POINTER },
  SSL_read: { arguments: [POINTER, POINTER, INT], return: INT },
  SSL_rstate_string: { arguments: [POINTER], return: POINTER },
  SSL_set0_rbio: { arguments: [POINTER, POINTER], return: VOID },
  SSL_set0_wbio: { arguments: [POINTER, POINTER], return: VOID },
  SSL_set_accept_state: { arguments: [POINTER], return: VOID },
  SSL_set_connect_state: { arguments: [POINTER], return: VOID },
  SSL_shutdown: { arguments: [POINTER], return: INT },
  SSL_write: { arguments: [POINTER, POINTER, INT], return: INT },
  TLS_method: { arguments: [], return: POINTER },
  X509_STORE_add_cert: { arguments: [POINTER, POINTER], return: INT },
  X509_free: { arguments: [POINTER], return: VOID },
  X509_verify_cert_error_string: { arguments: [LONG], return: POINTER },
  i2d_X509: { arguments: [POINTER, POINTER], return: INT },
});

/** Libraries and reasons of the error queue that mean something of their own here (err.h, sslerr.h, pemerr.h). */
export const ERROR_LIB_PEM = 9;
export const ERROR_LIB_SSL = 20;
export const REASON_PEM_NO_START_LINE = 108;
export const REASON_CERTIFICATE_VERIFY_FAILED = 134;
export const REASON_NO_PEER_CERTIFICATE = 199;
export const REASON_UNEXPECTED_EOF = 294;
/** Reasons from here on are alerts of the peer, plus this. */
export const REASON_ALERT_BASE = 1000;

/** One entry of the error queue. */
export interface OpensslError {
  readonly library: number;
  readonly reason: number;
  readonly text: string;
}

/** Takes every entry off this thread's error queue, oldest first. */
export function drainErrors(): OpensslError[] {
  const errors: OpensslError[] = [];
  for (let code = openssl.ERR_get_error(); code !== 0n; code = openssl.ERR_get_error()) {
    errors.push({
      library: Number((code >> 23n) & 0xffn),
      reason: Number(code & 0x7fffffn),
      text: stringAt(openssl.ERR_reason_error_string(code)) ?? `error ${code.toString(16)}`,
    });
  }
  return errors;
}

/** What OpenSSL calls an alert of TLS 1.3 that a peer has sent. */
export function alertText(description: number): string {
  const code = (BigInt(ERROR_LIB_SSL) << 23n) | BigInt(REASON_ALERT_BASE + description);
  return stringAt(openssl.ERR_reason_error_string(code)) ?? `alert ${description}`;
}

/** Whether a connection holds the beginning of a record, be it just the header, which does not count as pending. */
export function isWithinRecord(ssl: bigint): boolean {
  return openssl.SSL_has_pending(ssl) === 1 || textAt(openssl.SSL_rstate_string(ssl), 2) === 'RB';
}

/** The text of an X509_V_ERR_ code. */
export function verifyErrorText(code: number): string {
  return stringAt(openssl.X509_verify_cert_error_string(BigInt(code))) ?? `verification error ${code}`;
}

/** `length` bytes of text at an address that OpenSSL owns. */
export function textAt(pointer: bigint, length: number): string {
  return ffi.toBuffer(pointer, length, true).toString('latin1');
}

function stringAt(pointer: bigint): string | undefined {
  return pointer === 0n ? undefined : (ffi.toString(pointer) ?? undefined);
}
