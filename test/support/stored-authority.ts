/** The certificate authority of a sandbox as it lies in its folder: seen, and led through the steps of a rotation. */

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AuthorityDirectory } from '../../src/controlplane/ca/authority-directory.ts';
import type { AuthorityState } from '../../src/controlplane/ca/authority-state.ts';
import { SelfSignedAuthority } from '../../src/controlplane/ca/self-signed-authority.ts';
import { systemClock } from '../../src/identity/clock.ts';
import { until } from './sandbox-commands.ts';

export class StoredAuthority {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  state(): AuthorityState {
    return JSON.parse(readFileSync(this.#stateFile, 'utf8')) as AuthorityState;
  }

  /** PEM texts, as proxies get them at their start. */
  publishedRoots(): readonly string[] {
    const pem = readFileSync(join(this.#folder, 'root-cert.pem'), 'utf8');
    return pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g)!;
  }

  /** Begins a rotation, as another replica of the control plane or a tool of the operator would. */
  async rotate(): Promise<void> {
    const store = new AuthorityDirectory(this.#folder, systemClock);
    const source = await SelfSignedAuthority.open({ store, trustDomain: 'cluster.local' });
    await source.rotate();
    source.close();
  }

  async untilStep(kind: AuthorityState['rotation']['kind']): Promise<void> {
    await until(`the rotation is ${kind}`, async () => this.state().rotation.kind === kind);
  }

  /** Lets the next step be due now: what its waiting time is for has been seen. */
  async goOn(): Promise<void> {
    await until('the next step is due', async () => {
      const state = this.state();
      if (!('dueMs' in state.rotation) || state.rotation.dueMs <= Date.now()) return true;
      const text = JSON.stringify({ ...state, rotation: { ...state.rotation, dueMs: Date.now() } });
      writeFileSync(`${this.#stateFile}.next`, text, { mode: 0o600 });
      renameSync(`${this.#stateFile}.next`, this.#stateFile);
      return false;
    });
  }

  get #stateFile(): string {
    return join(this.#folder, 'authority.json');
  }
}
