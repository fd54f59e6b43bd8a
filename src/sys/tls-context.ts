/** The configuration of TLS connections: who we are, whom we trust. */

import { sysErrors } from './errors.ts';
import { addressOf, NativeBuffer } from './native-buffer.ts';
import { drainErrors, ERROR_LIB_PEM, openssl, REASON_PEM_NO_START_LINE } from './openssl.ts';
import { alpnWireFormat, offerAlpn, selectAlpn } from './tls-alpn.ts';
import { collectSecrets } from './traffic-secrets.ts';

export interface TlsContextOptions {
  readonly role: 'client' | 'server';
  /** Leaf first, then intermediates. */
  readonly certificateChainPem?: string | undefined;
  readonly privateKeyPem?: string | undefined;
  /** Any number of self-signed certificates, the only ones trusted. */
  readonly trustedRootsPem?: string | undefined;
  /** In order of preference. A server refuses clients that offer ALPN and none of these. */
  readonly alpn: readonly string[];
  /**
   * Whether the peer must show a certificate that chains up to a trusted root and is meant for its role. Without,
   * none is asked for (server) or anything is taken (client). Names are the caller's to check in either case.
   */
  readonly requirePeerCertificate: boolean;
  /** Allows TLS 1.2 besides 1.3. OpenSSL then protects the records of both, which takes it longer than us. */
  readonly tls12?: boolean | undefined;
}

/** openssl/ssl.h, tls1.h. */
const CTRL_MODE = 33;
const CTRL_READ_AHEAD = 41;
const CTRL_SESSION_CACHE_MODE = 44;
const CTRL_SET_MAX_CERT_LIST = 51;
const CTRL_CHAIN_CERTIFICATE = 89;
const CTRL_MIN_VERSION = 123;
const TLS1_2 = 0x0303n;
const TLS1_3 = 0x0304n;
/** Retried writes may come from another address; the store is not searched for our own chain; idle buffers are freed. */
const MODE = 0x02n | 0x08n | 0x10n;
/** NO_TICKET, NO_COMPRESSION, CIPHER_SERVER_PREFERENCE, NO_RENEGOTIATION. */
const OPTIONS = (1n << 14n) | (1n << 17n) | (1n << 22n) | (1n << 30n);
const VERIFY_PEER = 1;
const VERIFY_FAIL_WITHOUT_CERTIFICATE = 2;

/** AES-128 first: as strong as P-256 and cheaper per byte. */
const TLS13_SUITES = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384';
const TLS12_SUITES =
  'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384';
/** Of a peer's chain as it is sent, in bytes: a mesh's takes two thousand or so; OpenSSL would take a hundred thousand. */
const MAX_CERTIFICATE_LIST_BYTES = 32n * 1024n;
/** Certificates between leaf and root that are looked at; a mesh has one or two. */
const MAX_CHAIN_DEPTH = 8;
/**
 * Bytes of ciphertext that one read(2) takes at most, records of 16 KiB and their framing. The buffer exists only
 * while it holds something.
 */
export const TLS_READ_SIZE = 8 * 17_000;

let handleOf: (context: TlsContext) => bigint;

/**
 * TLS 1.3 (and 1.2 on request) without early data, session resumption, compression or renegotiation. Key exchange
 * groups are OpenSSL's default, X25519MLKEM768 first.
 */
export class TlsContext {
  readonly role: 'client' | 'server';
  /** 0 when closed. */
  #handle: bigint;

  static {
    handleOf = (context) => context.#handle;
  }

  /** @throws AMBIT_TLS_CONTEXT_INVALID when certificates or key are unusable */
  constructor(options: TlsContextOptions) {
    this.role = options.role;
    this.#handle = openssl.SSL_CTX_new(openssl.TLS_method());
    if (this.#handle === 0n) throw invalid('OpenSSL has no memory for a TLS context');
    try {
      this.#setProtocol(options);
      this.#setIdentity(options);
      this.#setTrust(options);
    } catch (thrown) {
      this.close();
      throw thrown;
    }
  }

  /** Connections that exist keep what they need; new ones are refused. */
  close(): void {
    openssl.SSL_CTX_free(this.#handle);
    this.#handle = 0n;
  }

  #setProtocol(options: TlsContextOptions): void {
    const handle = this.#handle;
    openssl.SSL_CTX_ctrl(handle, CTRL_MIN_VERSION, options.tls12 === true ? TLS1_2 : TLS1_3, 0n);
    openssl.SSL_CTX_ctrl(handle, CTRL_MODE, MODE, 0n);
    openssl.SSL_CTX_ctrl(handle, CTRL_SESSION_CACHE_MODE, 0n, 0n);
    openssl.SSL_CTX_set_options(handle, OPTIONS);
    openssl.SSL_CTX_set_num_tickets(handle, 0n);
    if (options.tls12 === true) readAhead(handle);
    else collectSecrets(handle);
    check(openssl.SSL_CTX_set_ciphersuites(handle, TLS13_SUITES) === 1, 'TLS 1.3 cipher suites');
    check(openssl.SSL_CTX_set_cipher_list(handle, TLS12_SUITES) === 1, 'TLS 1.2 cipher suites');
    if (options.alpn.length === 0) return;
    if (options.role === 'client') offerAlpn(handle, alpnWireFormat(options.alpn));
    else selectAlpn(handle, alpnWireFormat(options.alpn));
  }

  #setIdentity(options: TlsContextOptions): void {
    const { certificateChainPem, privateKeyPem } = options;
    if (certificateChainPem === undefined || privateKeyPem === undefined) {
      check(options.role === 'client', 'a server without certificate or key');
      return;
    }
    withCertificates(certificateChainPem, 'the certificate chain', ([leaf, ...intermediates]) => {
      check(openssl.SSL_CTX_use_certificate(this.#handle, leaf!) === 1, 'the certificate');
      for (const one of intermediates) {
        const added = openssl.SSL_CTX_ctrl(this.#handle, CTRL_CHAIN_CERTIFICATE, 1n, one);
        check(added === 1n, 'an intermediate certificate');
      }
    });
    withPrivateKey(privateKeyPem, (key) => {
      check(openssl.SSL_CTX_use_PrivateKey(this.#handle, key) === 1, 'the private key');
    });
    check(openssl.SSL_CTX_check_private_key(this.#handle) === 1, 'the private key of this certificate');
  }

  #setTrust(options: TlsContextOptions): void {
    const mode = options.requirePeerCertificate ? VERIFY_PEER | VERIFY_FAIL_WITHOUT_CERTIFICATE : 0;
    openssl.SSL_CTX_set_verify(this.#handle, mode, 0n);
    openssl.SSL_CTX_ctrl(this.#handle, CTRL_SET_MAX_CERT_LIST, MAX_CERTIFICATE_LIST_BYTES, 0n);
    openssl.SSL_CTX_set_verify_depth(this.#handle, MAX_CHAIN_DEPTH);
    const { trustedRootsPem } = options;
    if (trustedRootsPem === undefined) {
      check(!options.requirePeerCertificate, 'verification of peers without trusted roots');
      return;
    }
    withCertificates(trustedRootsPem, 'the trusted roots', (roots) => {
      const store = openssl.SSL_CTX_get_cert_store(this.#handle);
      for (const root of roots) check(openssl.X509_STORE_add_cert(store, root) === 1, 'a trusted root');
    });
  }
}

/** Where OpenSSL itself reads records. Where it does not, it must not have read more than the handshake. */
function readAhead(handle: bigint): void {
  openssl.SSL_CTX_ctrl(handle, CTRL_READ_AHEAD, 1n, 0n);
  openssl.SSL_CTX_set_default_read_buffer_len(handle, BigInt(TLS_READ_SIZE));
}

/** For src/sys only: the SSL_CTX. @throws AMBIT_TLS_CONTEXT_INVALID when the context is closed */
export function contextHandle(context: TlsContext): bigint {
  const handle = handleOf(context);
  if (handle === 0n) throw invalid('the TLS context is closed');
  return handle;
}

/** Parses every certificate of a PEM text (at least one), lends them to `use`, and frees them. */
function withCertificates(pem: string, what: string, use: (certificates: readonly bigint[]) => void): void {
  const certificates: bigint[] = [];
  try {
    withPem(pem, (bio) => {
      for (;;) {
        const one = openssl.PEM_read_bio_X509(bio, 0n, 0n, 0n);
        if (one === 0n) return;
        certificates.push(one);
      }
    });
    const errors = drainErrors();
    const clean = errors.every(
      (error) => error.library === ERROR_LIB_PEM && error.reason === REASON_PEM_NO_START_LINE,
    );
    if (!clean || certificates.length === 0)
      throw invalid(`${what}: ${errors.at(-1)?.text ?? 'no certificate'}`);
    use(certificates);
  } finally {
    for (const one of certificates) openssl.X509_free(one);
  }
}

function withPrivateKey(pem: string, use: (key: bigint) => void): void {
  withPem(pem, (bio) => {
    const key = openssl.PEM_read_bio_PrivateKey(bio, 0n, 0n, 0n);
    check(key !== 0n, 'the private key');
    try {
      use(key);
    } finally {
      openssl.EVP_PKEY_free(key);
    }
  });
}

/** Lends a memory BIO over the text, which may be a secret and is wiped afterwards. */
function withPem(pem: string, use: (bio: bigint) => void): void {
  openssl.ERR_clear_error();
  const text = Buffer.from(pem);
  const memory = new NativeBuffer(text.length + 1);
  memory.bytes.set(text);
  const bio = openssl.BIO_new_mem_buf(addressOf(memory), text.length);
  try {
    use(bio);
  } finally {
    openssl.BIO_free(bio);
    memory.bytes.fill(0);
    text.fill(0);
  }
}

function check(fine: boolean, what: string): void {
  if (!fine) throw invalid(`${what}: ${drainErrors().at(-1)?.text ?? 'not acceptable'}`);
}

function invalid(what: string): Error {
  return sysErrors.AMBIT_TLS_CONTEXT_INVALID(`TLS cannot be set up: ${what}`);
}
