/** Two pods, one served by our proxy and one by somebody else's, and the ways between their applications. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CertificateAuthority,
  type Leaf,
  makeIntermediate,
  makeLeaf,
  makeRoot,
} from './certificates.ts';
import { ENVOY_ENTRY_PORT } from './envoy-config.ts';
import type { Load } from './load.ts';
import { MeshNode, workloadOf } from './mesh-node.ts';
import { type LivePod, MeshPods } from './mesh-pods.ts';
import { APPLICATION_PORT, serveApplication, type TunnelPath } from './tunnel-matrix.ts';

export function identityOf(pod: LivePod): string {
  return `spiffe://cluster.local/ns/${pod.namespace}/sa/${pod.serviceAccount}`;
}

export class InteropWorld {
  readonly root = makeRoot('mesh root');
  readonly intermediate = makeIntermediate(this.root, 'mesh issuer');
  readonly pods = new MeshPods();
  readonly ours = this.pods.make('ours', 1);
  readonly theirs = this.pods.make('theirs', 2);
  readonly node = new MeshNode(this.root);
  readonly #applications = new Map<LivePod, Load>();

  async start(): Promise<void> {
    await this.pods.redirect(this.ours);
    await this.node.start();
    assert.equal(await this.node.addPod(this.ours), undefined);
    this.node.workloads(workloadOf(this.ours), workloadOf(this.theirs));
    for (const pod of [this.ours, this.theirs]) this.#applications.set(pod, await serveApplication(pod));
  }

  stop(): void {
    for (const one of this.#applications.values()) one.kill();
    assert.deepEqual(this.node.failures, []);
    assert.doesNotMatch(this.node.log, /AMBIT_HTTP2_/);
  }

  /** Gives both proxies certificates of this authority; returns theirs. */
  certify(issuer: CertificateAuthority): Leaf {
    this.node.install(identityOf(this.ours), issuer, this.root.certificatePem);
    return makeLeaf(issuer, { spiffeId: identityOf(this.theirs) });
  }

  /** From our pod to the application behind the other proxy. */
  outbound(changes: Partial<TunnelPath> = {}): TunnelPath {
    const path = { from: this.ours, host: this.theirs.addresses[0]!, port: APPLICATION_PORT };
    return { ...path, ...this.#pathTo(this.theirs), ...changes };
  }

  /** From the other pod to the application behind our proxy. */
  inbound(): TunnelPath {
    return { from: this.theirs, host: '127.0.0.1', port: ENVOY_ENTRY_PORT, ...this.#pathTo(this.ours) };
  }

  #pathTo(pod: LivePod): Pick<TunnelPath, 'application' | 'nodes'> {
    return { application: () => this.#applications.get(pod)!, nodes: () => [this.node] };
  }
}

/** A folder with `key.pem`, `chain.pem` and `root.pem`. */
export function credentialsFolder(leaf: Leaf, rootPem: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'peer-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'key.pem'), leaf.privateKeyPem);
  writeFileSync(join(folder, 'chain.pem'), leaf.chainPem);
  writeFileSync(join(folder, 'root.pem'), rootPem);
  return folder;
}
