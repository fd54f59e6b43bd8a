/** The TLS contexts of one reactor thread, one pair per identity, renewed when certificates or roots change. */

import { type AmbitError, messageOf } from '../../base/errors.ts';
import { identityErrors } from '../../identity/errors.ts';
import type { Reactor } from '../../io/reactor.ts';
import { TlsContext } from '../../sys/tls-context.ts';
import { logger } from '../../telemetry/log.ts';
import { RETIRED_CONTEXT_MS } from './limits.ts';
import type { IdentityMaterial, IdentityUnavailable } from './messages.ts';

const log = logger('tls');

export interface ContextPair {
  readonly client: TlsContext;
  readonly server: TlsContext;
}

type Waiter = (result: ContextPair | AmbitError) => void;

type Slot =
  | { readonly kind: 'waiting'; readonly waiters: Waiter[] }
  | { readonly kind: 'available'; readonly contexts: ContextPair; readonly material: IdentityMaterial };

/** Connections of one identity that may wait for its first certificate; more are refused at once. */
export const MAX_WAITERS = 1024;

export class TlsContexts {
  readonly #slots = new Map<string, Slot>();
  readonly #reactor: Reactor;
  readonly #ask: (identity: string) => void;
  readonly #tls12: boolean;

  /** `ask` tells the control thread that a connection waits for this identity. */
  constructor(reactor: Reactor, ask: (identity: string) => void, tls12 = false) {
    this.#reactor = reactor;
    this.#ask = ask;
    this.#tls12 = tls12;
  }

  /** Hands over the contexts of an identity, at once when they are there, else when the CA has answered. */
  withContexts(identity: string, callback: Waiter): void {
    const slot = this.#slots.get(identity);
    if (slot?.kind === 'available') return callback(slot.contexts);
    if (slot === undefined) {
      this.#slots.set(identity, { kind: 'waiting', waiters: [callback] });
      return this.#ask(identity);
    }
    if (slot.waiters.length >= MAX_WAITERS)
      return callback(unavailable(identity, 'too many connections wait for it'));
    slot.waiters.push(callback);
  }

  /** The contexts of an identity that are there now. @throws AmbitError AMBIT_IDENTITY_UNAVAILABLE */
  require(identity: string): ContextPair {
    const slot = this.#slots.get(identity);
    if (slot?.kind === 'available') return slot.contexts;
    throw unavailable(identity, 'it has expired or its last pod has gone');
  }

  /** Takes what the control thread knows of an identity; sockets that are open keep the context they began with. */
  update(material: IdentityMaterial | IdentityUnavailable): void {
    const slot = this.#slots.get(material.identity);
    if (material.kind === 'unavailable') return this.#fail(material, slot);
    const contexts = this.#tryContextsOf(material);
    if ('reason' in contexts) return slot?.kind === 'available' ? undefined : this.#fail(contexts, slot);
    this.#slots.set(material.identity, { kind: 'available', contexts, material });
    if (slot?.kind === 'available') this.#retire(slot.contexts);
    if (slot?.kind === 'waiting') for (const waiter of slot.waiters) waiter(contexts);
  }

  /** What OpenSSL refuses must not leave connections waiting for it, nor take the place of what works. */
  #tryContextsOf(material: IdentityMaterial): ContextPair | IdentityUnavailable {
    try {
      return contextsOf(material, this.#tls12);
    } catch (thrown) {
      const { identity } = material;
      log.error('certificate refused', { identity, error: messageOf(thrown) });
      return { kind: 'unavailable', identity, reason: messageOf(thrown) };
    }
  }

  /** A dial that is under way begins its handshake with the context that it was given. */
  #retire({ client, server }: ContextPair): void {
    this.#reactor.setTimer(RETIRED_CONTEXT_MS, () => {
      client.close();
      server.close();
    });
  }

  #fail(material: IdentityUnavailable, slot: Slot | undefined): void {
    this.#slots.delete(material.identity);
    if (slot?.kind === 'available') this.#retire(slot.contexts);
    if (slot?.kind !== 'waiting') return;
    for (const waiter of slot.waiters) waiter(unavailable(material.identity, material.reason));
  }
}

function contextsOf(material: IdentityMaterial, tls12: boolean): ContextPair {
  const common = {
    certificateChainPem: material.certificateChainPem,
    privateKeyPem: material.privateKeyPem,
    trustedRootsPem: material.trustedRootsPem,
    alpn: ['h2'],
    tls12,
  };
  return {
    client: new TlsContext({ ...common, role: 'client', requirePeerCertificate: true }),
    server: new TlsContext({ ...common, role: 'server', requirePeerCertificate: true }),
  };
}

function unavailable(identity: string, reason: string): AmbitError {
  return identityErrors.AMBIT_IDENTITY_UNAVAILABLE(`no certificate for ${identity}: ${reason}`);
}
