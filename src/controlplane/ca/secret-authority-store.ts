/** Keeps the state of a self-signed CA in a Secret that is laid out as cert-manager's, for all replicas at once. */

import { AmbitError, messageOf } from '../../base/errors.ts';
import {
  type AuthorityState,
  type AuthorityStore,
  parseAuthorityState,
  rootsPemOf,
} from './authority-state.ts';
import { type CaSecret, type CaSecretClient, ROTATE_ANNOTATION, STATE_KEY } from './ca-secret.ts';
import { caErrors } from './errors.ts';

export class SecretAuthorityStore implements AuthorityStore {
  readonly #client: CaSecretClient;
  readonly #listeners = new Set<() => void>();
  /** What the next save replaces. */
  #loaded: CaSecret | undefined;

  constructor(client: CaSecretClient) {
    this.#client = client;
  }

  async load(): Promise<AuthorityState | undefined> {
    this.#loaded = await this.#orUnreadable(() => this.#client.read());
    if (this.#loaded === undefined) return undefined;
    const state = stateOf(this.#loaded);
    if (state !== undefined) return state;
    throw caErrors.AMBIT_CA_STATE_UNREADABLE(`Secret ${this.#client.place} does not hold the state of a CA`);
  }

  async create(state: AuthorityState): Promise<AuthorityState> {
    await this.#orUnwritable(() => this.#client.create({ data: dataOf(state), annotations: {} }));
    return (await this.load()) ?? state;
  }

  /** The request for a rotation goes with the state in which it has begun. */
  async save(state: AuthorityState): Promise<boolean> {
    const loaded = this.#loaded;
    if (loaded === undefined) return false;
    const { [ROTATE_ANNOTATION]: request, ...others } = loaded.annotations;
    const begun = state.rotation.kind === 'introduced' && stateOf(loaded)?.rotation.kind === 'stable';
    const annotations = begun || request === undefined ? others : loaded.annotations;
    return this.#orUnwritable(() => this.#client.replace(loaded, { data: dataOf(state), annotations }));
  }

  watch(onChange: () => void): () => void {
    this.#listeners.add(onChange);
    return () => this.#listeners.delete(onChange);
  }

  /** The Secret may have changed. */
  noteChange(): void {
    for (const listener of this.#listeners) listener();
  }

  async #orUnreadable<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (thrown) {
      const message = `Secret ${this.#client.place} cannot be read: ${messageOf(thrown)}`;
      throw caErrors.AMBIT_CA_STATE_UNREADABLE(message, thrown);
    }
  }

  async #orUnwritable<T>(write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (thrown) {
      if (thrown instanceof AmbitError && thrown.code.startsWith('AMBIT_CA_')) throw thrown;
      const message = `Secret ${this.#client.place} cannot be written: ${messageOf(thrown)}`;
      throw caErrors.AMBIT_CA_STATE_UNWRITABLE(message, thrown);
    }
  }
}

function dataOf(state: AuthorityState): Readonly<Record<string, string>> {
  const { version, rotation, leavesExpireMs } = state;
  return {
    'ca.crt': rootsPemOf(state),
    'tls.crt': state.signer.certificatePem,
    'tls.key': state.signer.keyPem,
    [STATE_KEY]: JSON.stringify({ version, rotation, leavesExpireMs }),
  };
}

/** Undefined when it does not hold one. */
function stateOf({ data }: CaSecret): AuthorityState | undefined {
  const signer = { keyPem: data['tls.key'], certificatePem: data['tls.crt'] };
  return parseAuthorityState(data[STATE_KEY] ?? '', { signer });
}
