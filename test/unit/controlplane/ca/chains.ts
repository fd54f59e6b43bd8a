/** Chains as the CA returns them, judged by openssl at any time of day. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuthorityState, AuthorityStore } from '../../../../src/controlplane/ca/authority-state.ts';
import { KeyPair } from '../../../../src/identity/key-pair.ts';
import { spiffeId } from '../../identity/authorities.ts';

export const CART = spiffeId('spiffe://cluster.local/ns/shop/sa/cart');
export const ORDERS = spiffeId('spiffe://cluster.local/ns/shop/sa/orders');
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** A request for a new key with the CA's own choice of life. */
export function anyKey(ttlMs = 0): { readonly publicKeyDer: Uint8Array; readonly ttlMs: number } {
  return { publicKeyDer: KeyPair.generate().publicKeyDer, ttlMs };
}

/** Whether `chain` (leaf, intermediates, roots) verifies for a TLS server against `rootsPem` at that time. */
export function verifies(chain: readonly string[], rootsPem: string, atMs: number): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-chain-'));
  try {
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const above = chain.slice(1, -1).join('');
    const args = [
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-attime',
      String(Math.floor(atMs / 1000)),
    ];
    args.push('-no-CApath', '-no-CAstore', '-CAfile', file('roots', rootsPem));
    if (above !== '') args.push('-untrusted', file('above', above));
    return spawnSync('openssl', [...args, file('leaf', chain[0]!)]).status === 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A store without a disk, for tests in which hours pass between two turns of the event loop. */
export class MemoryStore implements AuthorityStore {
  state: AuthorityState | undefined;
  saves = 0;
  failing = false;

  async load(): Promise<AuthorityState | undefined> {
    return this.state;
  }

  async create(state: AuthorityState): Promise<AuthorityState> {
    this.state ??= state;
    return this.state;
  }

  async save(state: AuthorityState): Promise<boolean> {
    if (this.failing) throw new Error('disk full');
    this.saves++;
    this.state = state;
    return true;
  }

  watch(): () => void {
    return () => {};
  }
}
