/** The configuration of TLS connections: who we are, whom we trust. */

export interface TlsContextOptions {
  readonly role: 'client' | 'server';
  /** Leaf first, then intermediates. */
  readonly certificateChainPem?: string;
  readonly privateKeyPem?: string;
  /** Any number of root certificates. */
  readonly trustedRootsPem?: string;
  readonly alpn: readonly string[];
  /** Servers: refuse clients without a certificate. Clients always verify the server when roots are given. */
  readonly requirePeerCertificate: boolean;
  /** Allows TLS 1.2 besides 1.3. */
  readonly tls12?: boolean;
}

export declare class TlsContext {
  constructor(options: TlsContextOptions);
  readonly role: 'client' | 'server';
  /** Live connections keep what they need; new ones are refused. */
  close(): void;
}
