/** The CA out of a Secret: with a root that the control plane makes and replaces itself, or with a key given by others. */

import { AmbitError, messageOf } from '../../base/errors.ts';
import { type Clock, systemClock, type Timer } from '../../identity/clock.ts';
import { logger } from '../../telemetry/log.ts';
import { type CaSecret, type CaSecretClient, ROTATE_ANNOTATION, STATE_KEY } from './ca-secret.ts';
import { caErrors } from './errors.ts';
import { type NamedTexts, readPluggedInMaterial } from './plugged-in-material.ts';
import { SecretAuthorityStore } from './secret-authority-store.ts';
import { type RotationStatus, SelfSignedAuthority } from './self-signed-authority.ts';
import type { SigningMaterial, SigningSource } from './signing-material.ts';

const log = logger('ca');

/** The Secret is read again this long after it could not be. */
const RETRY_MS = 5000;

export interface SecretAuthorityOptions {
  readonly secret: CaSecretClient;
  /** The organisation named in a root that is made. */
  readonly trustDomain: string;
  /** Hears of every Secret that cannot be used, and of requests that cannot be met. */
  readonly onProblem?: (problem: AmbitError) => void;
  readonly clock?: Clock;
}

/** Whose the key is; only an own one is rotated here. */
export type KeyOwner =
  | { readonly kind: 'own'; readonly rotation: RotationStatus }
  | { readonly kind: 'given' };

type Signer =
  | { readonly kind: 'own'; readonly source: SelfSignedAuthority }
  | { readonly kind: 'given'; readonly resourceVersion: string; readonly material: SigningMaterial };

export class SecretAuthority implements SigningSource {
  readonly #options: Required<SecretAuthorityOptions>;
  readonly #store: SecretAuthorityStore;
  readonly #listeners = new Set<(material: SigningMaterial) => void>();
  readonly #stopWatching: () => void;
  #signer: Signer;
  #stopListening: () => void;
  #retry: Timer | undefined;
  #closed = false;
  /** Changes are looked at one after the other. */
  #lastLook: Promise<void> = Promise.resolve();

  private constructor(
    options: Required<SecretAuthorityOptions>,
    store: SecretAuthorityStore,
    signer: Signer,
  ) {
    this.#options = options;
    this.#store = store;
    this.#signer = signer;
    this.#stopListening = this.#listenTo(signer);
    this.#stopWatching = options.secret.watch(() => this.#look());
  }

  /** Makes a root when there is no Secret. Rejects with AMBIT_CA_STATE_… or AMBIT_CA_FILES_INVALID. */
  static async open(options: SecretAuthorityOptions): Promise<SecretAuthority> {
    const complete = { clock: systemClock, onProblem: () => {}, ...options };
    const store = new SecretAuthorityStore(complete.secret);
    const secret = await complete.secret.read();
    const given = secret !== undefined && !isOwn(secret);
    const signer = given ? givenSigner(complete, secret) : await ownSigner(complete, store);
    const authority = new SecretAuthority(complete, store, signer);
    authority.#look();
    return authority;
  }

  get material(): SigningMaterial {
    return this.#signer.kind === 'own' ? this.#signer.source.material : this.#signer.material;
  }

  get owner(): KeyOwner {
    return this.#signer.kind === 'own'
      ? { kind: 'own', rotation: this.#signer.source.rotation }
      : { kind: 'given' };
  }

  async noteIssued(notAfterMs: number): Promise<void> {
    if (this.#signer.kind === 'own') await this.#signer.source.noteIssued(notAfterMs);
  }

  onChange(listener: (material: SigningMaterial) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#closed = true;
    this.#stopWatching();
    this.#retry?.cancel();
    this.#stopListening();
    if (this.#signer.kind === 'own') this.#signer.source.close();
    this.#listeners.clear();
  }

  #look(): void {
    this.#lastLook = this.#lastLook.then(() => this.#lookNow());
  }

  async #lookNow(): Promise<void> {
    if (this.#closed) return;
    this.#retry?.cancel();
    try {
      await this.#follow(await this.#options.secret.read());
    } catch (thrown) {
      this.#report(thrown);
      this.#retry = this.#options.clock.setTimer(RETRY_MS, () => this.#look());
    }
  }

  /** What was usable before goes on until something usable is there. */
  async #follow(secret: CaSecret | undefined): Promise<void> {
    if (secret !== undefined && !isOwn(secret)) return this.#followGiven(secret);
    if (this.#signer.kind === 'own') this.#store.noteChange();
    else if (secret === undefined) throw invalid(this.#options, 'is gone; signing goes on with what it held');
    else this.#exchange(await ownSigner(this.#options, this.#store));
    if (secret !== undefined && ROTATE_ANNOTATION in secret.annotations) await this.#rotate(secret);
  }

  async #followGiven(secret: CaSecret): Promise<void> {
    const known = this.#signer.kind === 'given' && this.#signer.resourceVersion === secret.resourceVersion;
    if (!known) this.#exchange(givenSigner(this.#options, secret));
    if (!(ROTATE_ANNOTATION in secret.annotations)) return;
    this.#report(
      caErrors.AMBIT_CA_NOT_OWN(`the CA in Secret ${this.#options.secret.place} was given by others`),
    );
    await this.#withdrawRequest(secret);
  }

  async #rotate(secret: CaSecret): Promise<void> {
    if (this.#signer.kind !== 'own') return;
    try {
      await this.#signer.source.rotate();
    } catch (thrown) {
      const underWay = thrown instanceof AmbitError && thrown.code === 'AMBIT_CA_ROTATION_UNDER_WAY';
      if (!underWay) throw thrown;
      // Another replica may have met this very request, and the annotation is gone: then nothing is replaced.
      if (await this.#withdrawRequest(secret)) this.#report(thrown);
    }
  }

  #withdrawRequest(secret: CaSecret): Promise<boolean> {
    const { [ROTATE_ANNOTATION]: _, ...annotations } = secret.annotations;
    return this.#options.secret.replace(secret, { data: secret.data, annotations });
  }

  #exchange(signer: Signer): void {
    this.#stopListening();
    if (this.#signer.kind === 'own') this.#signer.source.close();
    this.#signer = signer;
    this.#stopListening = this.#listenTo(signer);
    log.info('the key of the CA was exchanged', {
      key: signer.kind,
      expires: new Date(this.material.expiresMs).toISOString(),
    });
    this.#tell();
  }

  #listenTo(signer: Signer): () => void {
    return signer.kind === 'own' ? signer.source.onChange(() => this.#tell()) : () => {};
  }

  #tell(): void {
    for (const listener of this.#listeners) listener(this.material);
  }

  #report(thrown: unknown): void {
    const code = thrown instanceof AmbitError ? thrown.code : undefined;
    log.error('the CA cannot do what its Secret asks for', { code, reason: messageOf(thrown) });
    if (thrown instanceof AmbitError) this.#options.onProblem(thrown);
  }
}

function isOwn({ data }: CaSecret): boolean {
  return STATE_KEY in data;
}

async function ownSigner(
  { trustDomain, clock }: Required<SecretAuthorityOptions>,
  store: SecretAuthorityStore,
): Promise<Signer> {
  return { kind: 'own', source: await SelfSignedAuthority.open({ store, trustDomain, clock }) };
}

/** Throws AMBIT_CA_FILES_INVALID. */
function givenSigner(options: Required<SecretAuthorityOptions>, secret: CaSecret): Signer {
  const { resourceVersion, data } = secret;
  const texts: NamedTexts = {
    place: `Secret ${options.secret.place}`,
    has: (name) => name in data,
    read: (name) => {
      const text = data[name];
      if (text === undefined) throw invalid(options, `has no key ${name}`);
      return text;
    },
  };
  return { kind: 'given', resourceVersion, material: readPluggedInMaterial(texts) };
}

function invalid({ secret }: Required<SecretAuthorityOptions>, what: string): AmbitError {
  return caErrors.AMBIT_CA_FILES_INVALID(`Secret ${secret.place} ${what}`);
}
