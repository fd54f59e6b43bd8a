/** A CA with a root of its own: made at the first start, kept on disk, and replaced with overlap. */

import { randomBytes } from 'node:crypto';
import { messageOf } from '../../base/errors.ts';
import { issueRootCertificate } from '../../identity/certificate.ts';
import { type Clock, setAlarm, systemClock, type Timer } from '../../identity/clock.ts';
import { KeyPair } from '../../identity/key-pair.ts';
import { encodePem } from '../../identity/pem.ts';
import { logger } from '../../telemetry/log.ts';
import {
  type AuthorityState,
  type AuthorityStore,
  introduceRoot,
  nextStep,
  rootsPemOf,
} from './authority-state.ts';
import { caErrors } from './errors.ts';
import {
  makeSigningMaterial,
  type SigningMaterial,
  type SigningSource,
  type StoredSigner,
} from './signing-material.ts';

const log = logger('ca');

/** Ten years, as Istio's own root. */
const ROOT_LIFETIME_MS = 10 * 365 * 24 * 3_600_000;
/** Proxies whose clocks are behind must be able to use a new root at once. */
const BACKDATING_MS = 3_600_000;
/** The latest expiry is noted ahead by this much, so that the state is written once an hour and not per certificate. */
const NOTE_AHEAD_MS = 3_600_000;
/** After a failure to write, such as a full disk, a step of the rotation is tried again this much later. */
const RETRY_STEP_MS = 60_000;
/** How often a change is tried when other processes change the state at the same moment. */
const MAX_ATTEMPTS = 10;

export interface SelfSignedOptions {
  readonly store: AuthorityStore;
  /** The organisation named in the root. */
  readonly trustDomain: string;
  readonly clock?: Clock;
}

/** How far a change of roots has got; `dueMs` is when it goes on by itself. */
export interface RotationStatus {
  readonly kind: AuthorityState['rotation']['kind'];
  readonly dueMs: number | undefined;
}

export class SelfSignedAuthority implements SigningSource {
  readonly #options: Required<SelfSignedOptions>;
  readonly #listeners = new Set<(material: SigningMaterial) => void>();
  readonly #stopWatching: () => void;
  #state: AuthorityState;
  #material: SigningMaterial;
  #stepTimer: Timer | undefined;
  #closed = false;
  /** Changes of the state run one after the other. */
  #lastChange: Promise<void> = Promise.resolve();

  private constructor(options: Required<SelfSignedOptions>, state: AuthorityState) {
    this.#options = options;
    this.#state = state;
    this.#material = materialOf(state);
    this.#stopWatching = options.store.watch(() => void this.#reload());
    this.#planStep();
  }

  /** Takes the stored state, or makes a root. Rejects with AMBIT_CA_STATE_… or AMBIT_CA_FILES_INVALID. */
  static async open(options: SelfSignedOptions): Promise<SelfSignedAuthority> {
    const complete = { clock: systemClock, ...options };
    const { store } = complete;
    const source = new SelfSignedAuthority(
      complete,
      (await store.load()) ?? (await makeFirstState(store, complete)),
    );
    // What another process wrote before the store was being watched.
    await source.#reload();
    return source;
  }

  get material(): SigningMaterial {
    return this.#material;
  }

  get rotation(): RotationStatus {
    const { rotation } = this.#state;
    return { kind: rotation.kind, dueMs: rotation.kind === 'stable' ? undefined : rotation.dueMs };
  }

  /**
   * Starts replacing the root: proxies trust the new one from their next renewal on. The further steps, signing with
   * it and dropping the old one, follow by themselves, also after a restart, once all older certificates have
   * expired. Rejects with AMBIT_CA_ROTATION_UNDER_WAY or AMBIT_CA_STATE_….
   */
  async rotate(): Promise<void> {
    const { trustDomain, clock } = this.#options;
    await this.#change((state) => {
      if (state.rotation.kind === 'stable') {
        return introduceRoot(state, makeRoot(trustDomain, clock.nowMs()), clock.nowMs());
      }
      const due = new Date(state.rotation.dueMs).toISOString();
      throw caErrors.AMBIT_CA_ROTATION_UNDER_WAY(
        `the root is being replaced already; the next step is due at ${due}`,
      );
    });
    log.info('a new root was added to the trust bundle', {
      nextStep: new Date(this.rotation.dueMs!).toISOString(),
    });
  }

  async noteIssued(notAfterMs: number): Promise<void> {
    if (notAfterMs <= this.#state.leavesExpireMs) return;
    try {
      await this.#change((state) => {
        return notAfterMs <= state.leavesExpireMs
          ? undefined
          : { ...state, leavesExpireMs: notAfterMs + NOTE_AHEAD_MS };
      });
    } catch (thrown) {
      // Signing must not stop for this; the next certificate tries again.
      log.error('the expiry of issued certificates could not be stored', { error: messageOf(thrown) });
    }
  }

  onChange(listener: (material: SigningMaterial) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#closed = true;
    this.#stopWatching();
    this.#stepTimer?.cancel();
    this.#listeners.clear();
  }

  /** Applies a change to what is stored now, which another process may have written; undefined changes nothing. */
  #change(change: (state: AuthorityState) => AuthorityState | undefined): Promise<void> {
    const run = this.#lastChange.then(() => this.#changeStored(change));
    this.#lastChange = run.catch(() => {});
    return run;
  }

  /** A state that has gone is put back: proxies trust it. */
  async #changeStored(change: (state: AuthorityState) => AuthorityState | undefined): Promise<void> {
    const { store } = this.#options;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const stored = (await store.load()) ?? (await store.create(this.#state));
      const changed = change(stored);
      if (changed === undefined || (await store.save(changed))) return this.#adopt(changed ?? stored);
    }
    throw caErrors.AMBIT_CA_STATE_UNWRITABLE(
      `the state of the CA was replaced by others ${MAX_ATTEMPTS} times in a row`,
    );
  }

  async #reload(): Promise<void> {
    try {
      await this.#change(() => undefined);
    } catch (thrown) {
      log.error('the replaced state of the CA is not usable; signing goes on with the one before', {
        error: messageOf(thrown),
      });
    }
  }

  #adopt(state: AuthorityState): void {
    const before = this.#state;
    const rootsChanged =
      state.signer.keyPem !== before.signer.keyPem || rootsPemOf(state) !== rootsPemOf(before);
    if (rootsChanged) this.#material = materialOf(state);
    this.#state = state;
    this.#planStep();
    if (!rootsChanged) return;
    for (const listener of this.#listeners) listener(this.#material);
  }

  #planStep(delayMs = 0): void {
    this.#stepTimer?.cancel();
    this.#stepTimer = undefined;
    const { dueMs } = this.rotation;
    if (dueMs === undefined || this.#closed) return;
    const { clock } = this.#options;
    const atMs = Math.max(dueMs, clock.nowMs() + delayMs);
    this.#stepTimer = setAlarm(clock, atMs, () => void this.#step());
  }

  async #step(): Promise<void> {
    try {
      await this.#change((state) => nextStep(state, this.#options.clock.nowMs()));
    } catch (thrown) {
      log.error('a step of the root rotation failed and is repeated', { error: messageOf(thrown) });
      this.#planStep(RETRY_STEP_MS);
      return;
    }
    log.info('a step of the root rotation is done', { now: this.rotation.kind });
  }
}

function materialOf(state: AuthorityState): SigningMaterial {
  return makeSigningMaterial(state.signer, '', rootsPemOf(state));
}

async function makeFirstState(
  store: AuthorityStore,
  { trustDomain, clock }: Required<SelfSignedOptions>,
): Promise<AuthorityState> {
  const signer = makeRoot(trustDomain, clock.nowMs());
  const created = await store.create({ version: 1, signer, rotation: { kind: 'stable' }, leavesExpireMs: 0 });
  log.info('a root certificate was made', { trustDomain });
  return created;
}

/** The name is unique, so that no library mixes up two roots of one mesh. */
function makeRoot(trustDomain: string, nowMs: number): StoredSigner {
  const key = KeyPair.generate();
  const commonName = `Ambit root CA ${randomBytes(4).toString('hex')}`;
  const der = issueRootCertificate(key, {
    profile: { kind: 'authority', organization: trustDomain, commonName },
    notBeforeMs: nowMs - BACKDATING_MS,
    notAfterMs: nowMs + ROOT_LIFETIME_MS,
  });
  return { keyPem: key.exportPkcs8Pem(), certificatePem: encodePem('CERTIFICATE', der) };
}
