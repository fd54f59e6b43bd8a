/** The Secret that holds the CA, and how it is read and replaced, whatever carries that to an API server. */

/** The Secret as it was read. */
export interface CaSecret {
  readonly resourceVersion: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** As text, not as base64. */
  readonly data: Readonly<Record<string, string>>;
}

export interface CaSecretContent {
  readonly data: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** All rejections are AmbitErrors. */
export interface CaSecretClient {
  /** `namespace/name`, as messages call it. */
  readonly place: string;
  /** Undefined when there is none. */
  read(): Promise<CaSecret | undefined>;
  /** False when there is one already. */
  create(content: CaSecretContent): Promise<boolean>;
  /** False when the Secret is no longer the one that was read. */
  replace(before: CaSecret, content: CaSecretContent): Promise<boolean>;
  /** Calls back when the Secret may have changed; returns how to stop. */
  watch(onChange: () => void): () => void;
}

/** Holds the state of a rotation; a Secret without it was put there by others. */
export const STATE_KEY = 'rotation.json';

/** Asks for a new root; removed when the rotation has begun, or cannot. */
export const ROTATE_ANNOTATION = 'ambit.io/rotate-ca';
