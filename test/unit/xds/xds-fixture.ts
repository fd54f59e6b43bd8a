/** A control plane and node proxies of delta xDS over real TLS on the loopback interface. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { bearerToken } from '../../../src/xds/call-authentication.ts';
import { CallCredentials } from '../../../src/xds/call-credentials.ts';
import { DeltaClient, type DeltaClientOptions, type DeltaUpdate } from '../../../src/xds/delta-client.ts';
import { type ClientRejection, DeltaServer } from '../../../src/xds/delta-server.ts';
import { GrpcServer, type ServerCredentials } from '../../../src/xds/grpc/grpc-server.ts';
import type { RejectedResource } from '../../../src/xds/mesh-resources.ts';
import { ADDRESS_TYPE_URL, AUTHORIZATION_TYPE_URL } from '../../../src/xds/mesh-resources.ts';
import { ResourceCache } from '../../../src/xds/resource-cache.ts';
import { makeAuthority, type TestAuthority } from './certificates.ts';

export const TOKEN = 'a-token';

/** Made once per test process: openssl takes its time. */
export const authority: TestAuthority = makeAuthority();
export const credentials: ServerCredentials = authority.issue(['IP:127.0.0.1']);

export function temporaryFile(t: TestContext, name: string, content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-xds-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** A control plane with contents of its own. */
export class ControlPlane {
  readonly cache = new ResourceCache([AUTHORIZATION_TYPE_URL, ADDRESS_TYPE_URL]);
  readonly rejections: ClientRejection<string>[] = [];
  readonly metadata: ReadonlyMap<string, string>[] = [];
  readonly grpc = new GrpcServer({ credentials });
  readonly delta: DeltaServer<string>;
  port = 0;

  constructor() {
    this.delta = new DeltaServer<string>({
      cache: this.cache,
      authenticate: async (call) => {
        this.metadata.push(call.metadata);
        return bearerToken(call) === TOKEN ? 'node proxy' : undefined;
      },
      onRejected: (rejection) => this.rejections.push(rejection),
    });
    this.delta.bindTo(this.grpc);
  }

  async listen(port = 0): Promise<void> {
    this.port = await this.grpc.listen({ host: '127.0.0.1', port });
  }

  put(name: string, text: string): void {
    this.cache.update(ADDRESS_TYPE_URL, [{ name, bytes: Buffer.from(text) }]);
  }

  drop(name: string): void {
    this.cache.update(ADDRESS_TYPE_URL, [{ name, bytes: undefined }]);
  }

  async close(): Promise<void> {
    this.delta.close();
    await this.grpc.close(100);
  }
}

/** A started control plane that is complete. */
export async function startControlPlane(t: TestContext, port = 0): Promise<ControlPlane> {
  const plane = new ControlPlane();
  plane.cache.markComplete();
  await plane.listen(port);
  t.after(() => plane.close());
  return plane;
}

/** A node proxy that keeps texts, and refuses those that begin with `bad`. */
export class NodeProxy {
  readonly resources = new Map<string, string>();
  readonly updates: DeltaUpdate[] = [];
  readonly client: DeltaClient;
  readyCalls = 0;

  constructor(t: TestContext, port: number, options: Partial<DeltaClientOptions> = {}) {
    this.client = new DeltaClient({
      target: { host: '127.0.0.1', port },
      roots: { kind: 'inline', pem: authority.rootPem },
      credentials: new CallCredentials({ tokenPath: temporaryFile(t, 'token', TOKEN), clusterId: 'c1' }),
      node: {
        instanceIp: '10.0.0.7',
        podName: 'ztunnel-x',
        podNamespace: 'istio-system',
        nodeName: 'node-1',
        clusterId: 'c1',
      },
      typeUrls: [ADDRESS_TYPE_URL, AUTHORIZATION_TYPE_URL],
      consume: (update) => this.consume(update),
      onReady: () => this.readyCalls++,
      ...options,
    });
    t.after(() => this.client.stop());
    this.client.start();
  }

  consume(update: DeltaUpdate): RejectedResource[] {
    const rejected: RejectedResource[] = [];
    const resources = update.resources.map((one) => ({ ...one, bytes: Buffer.from(one.bytes) }));
    this.updates.push({ ...update, resources });
    for (const name of update.removed) this.resources.delete(name);
    for (const { name, bytes } of resources) {
      const text = bytes.toString();
      if (text.startsWith('bad')) rejected.push({ name, reason: `cannot use ${text}` });
      else this.resources.set(name, text);
    }
    return rejected;
  }

  has(texts: Readonly<Record<string, string>>): boolean {
    const mine = Object.fromEntries([...this.resources].sort());
    return JSON.stringify(mine) === JSON.stringify(Object.fromEntries(Object.entries(texts).sort()));
  }
}
