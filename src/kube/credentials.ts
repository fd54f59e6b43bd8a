/** How a client knows an API server and proves itself to it. */

/** Certificates and keys of a TLS connection, as node:tls takes them. */
export interface TlsMaterial {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

export interface KubeCredentials {
  /** Base URL of the API server; it may have a path. */
  readonly server: URL;
  /** Of the pod, or of the context; `default` when it does not say. */
  readonly namespace: string;
  /** An HTTP proxy to go through. */
  readonly proxy: string | undefined;
  /** For a new connection. @throws AMBIT_KUBE_CREDENTIALS_UNAVAILABLE */
  tls(): Promise<TlsMaterial>;
  /** Headers of one request. @throws AMBIT_KUBE_CREDENTIALS_UNAVAILABLE */
  headers(): Promise<Readonly<Record<string, string>>>;
  /** The server did not accept them: nothing remembered is to be used again. */
  renew(): void;
}
