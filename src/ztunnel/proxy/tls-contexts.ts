/** The TLS contexts of one reactor thread, one pair per identity, renewed when certificates or roots change. */

import type { AmbitError } from '../../base/errors.ts';
import { identityErrors } from '../../identity/errors.ts';
import { TlsContext } from '../../sys/tls-context.ts';
import type { IdentityMaterial, IdentityUnavailable } from './messages.ts';

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
  readonly #ask: (identity: string) => void;

  /** `ask` tells the control thread that a connection waits for this identity. */
  constructor(ask: (identity: string) => void) {
    this.#ask = ask;
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
    const contexts = contextsOf(material);
    this.#slots.set(material.identity, { kind: 'available', contexts, material });
    if (slot?.kind === 'available') free(slot.contexts);
    if (slot?.kind === 'waiting') for (const waiter of slot.waiters) waiter(contexts);
  }

  #fail(material: IdentityUnavailable, slot: Slot | undefined): void {
    this.#slots.delete(material.identity);
    if (slot?.kind === 'available') free(slot.contexts);
    if (slot?.kind !== 'waiting') return;
    for (const waiter of slot.waiters) waiter(unavailable(material.identity, material.reason));
  }
}

function contextsOf(material: IdentityMaterial): ContextPair {
  const common = {
    certificateChainPem: material.certificateChainPem,
    privateKeyPem: material.privateKeyPem,
    trustedRootsPem: material.trustedRootsPem,
    alpn: ['h2'],
  };
  return {
    client: new TlsContext({ ...common, role: 'client', requirePeerCertificate: true }),
    server: new TlsContext({ ...common, role: 'server', requirePeerCertificate: true }),
  };
}

function free(contexts: ContextPair): void {
  contexts.client.close();
  contexts.server.close();
}

function unavailable(identity: string, reason: string): AmbitError {
  return identityErrors.AMBIT_IDENTITY_UNAVAILABLE(`no certificate for ${identity}: ${reason}`);
}
