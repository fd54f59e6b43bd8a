/** A control plane on a folder of its own, with a token key and clients such as a node proxy has. */

import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { mintToken, type TokenSubject } from '../../../src/controlplane/ca/mint-token.ts';
import { DEFAULT_TRUSTED_NODE_ACCOUNTS } from '../../../src/controlplane/ca/node-authorization.ts';
import { type FolderConfig, servingNamesOf } from '../../../src/controlplane/config.ts';
import { ControlPlaneServer } from '../../../src/controlplane/control-plane-server.ts';
import { MeshState } from '../../../src/mesh/mesh-state.ts';
import type { MeshObject } from '../../../src/objects/kinds.ts';
import { CallCredentials } from '../../../src/xds/call-credentials.ts';
import { GrpcCertificateClient } from '../../../src/xds/certificate-client.ts';
import { DeltaClient, type DeltaConsumer } from '../../../src/xds/delta-client.ts';
import { applyUpdate, MESH_TYPE_URLS } from '../../../src/xds/mesh-resources.ts';
import { makeFolder, putObjects } from '../../support/manifest-folder.ts';
import { pod } from '../../support/mesh-objects.ts';

export const PROXY_POD = { name: 'ztunnel-n1', uid: 'uid-ztunnel-n1', node: 'n1' };
const PROXY: TokenSubject = { namespace: 'ambit-system', serviceAccount: 'ztunnel', pod: PROXY_POD };

export class ControlPlaneFixture {
  readonly folder: string;
  readonly config: FolderConfig;
  server!: ControlPlaneServer;
  readonly #t: TestContext;
  readonly #privateKeyPem: string;
  #tokens = 0;

  constructor(t: TestContext) {
    const root = makeFolder(t);
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(join(root, 'token.pub'), keys.publicKey.export({ type: 'spki', format: 'pem' }));
    this.#privateKeyPem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    this.#t = t;
    this.folder = join(root, 'objects');
    mkdirSync(this.folder);
    this.config = {
      kind: 'folder',
      objects: this.folder,
      listen: { host: '127.0.0.1', port: 0 },
      http: { host: '127.0.0.1', port: 0 },
      caDir: join(root, 'ca'),
      tokenKey: join(root, 'token.pub'),
      trustDomain: 'cluster.local',
      clusterId: 'Kubernetes',
      clusterDomain: 'cluster.local',
      network: '',
      rootNamespace: 'istio-system',
      servingNames: servingNamesOf([]),
      trustedNodeAccounts: DEFAULT_TRUSTED_NODE_ACCOUNTS,
    };
    const { name, uid, node } = PROXY_POD;
    const proxy = { name, uid, node, namespace: 'ambit-system', serviceAccount: 'ztunnel', ip: '10.0.0.250' };
    this.put('ztunnel', pod(proxy));
  }

  put(file: string, ...objects: readonly MeshObject[]): void {
    putObjects(join(this.folder, `${file}.json`), ...objects);
  }

  async start(config: Partial<FolderConfig> = {}): Promise<this> {
    const server = await ControlPlaneServer.start({ ...this.config, ...config });
    this.server = server;
    let closed = false;
    this.#t.after(async () => {
      if (!closed) await server[Symbol.asyncDispose]();
      closed = true;
    });
    return this;
  }

  async page(path: string): Promise<{ status: number; text: string }> {
    const response = await fetch(`http://127.0.0.1:${this.server.httpPort}${path}`);
    return { status: response.status, text: await response.text() };
  }

  /** A file with a token; signed by the control plane's key unless another one is given. */
  async tokenFile(subject: TokenSubject = PROXY, privateKeyPem = this.#privateKeyPem): Promise<string> {
    const path = join(this.folder, '..', `token-${this.#tokens++}`);
    writeFileSync(path, await mintToken(privateKeyPem, subject));
    return path;
  }

  /** A client of the mesh; stopped at the end of the test. */
  async connect(consume: DeltaConsumer, tokenPath?: string): Promise<DeltaClient> {
    const client = new DeltaClient({
      target: { host: '127.0.0.1', port: this.server.xdsPort, serverName: 'istiod.istio-system.svc' },
      roots: { kind: 'file', path: join(this.config.caDir, 'root-cert.pem') },
      credentials: await this.#credentials(tokenPath),
      node: { ...proxyNode(), clusterId: 'Kubernetes' },
      typeUrls: MESH_TYPE_URLS,
      consume,
    });
    this.#t.after(() => client.stop());
    client.start();
    return client;
  }

  /** The mesh as a connected node proxy sees it. */
  async connectState(): Promise<{ readonly state: MeshState; readonly client: DeltaClient }> {
    const state = new MeshState();
    const client = await this.connect((update) => applyUpdate(state, update));
    return { state, client };
  }

  async certificateClient(tokenPath?: string): Promise<GrpcCertificateClient> {
    return new GrpcCertificateClient({
      target: { host: '127.0.0.1', port: this.server.xdsPort, serverName: 'istiod.istio-system.svc' },
      roots: { kind: 'file', path: join(this.config.caDir, 'root-cert.pem') },
      credentials: await this.#credentials(tokenPath),
    });
  }

  async #credentials(tokenPath?: string): Promise<CallCredentials> {
    return new CallCredentials({ tokenPath: tokenPath ?? (await this.tokenFile()), clusterId: 'Kubernetes' });
  }
}

function proxyNode() {
  return { instanceIp: '10.0.0.250', podName: 'ztunnel-n1', podNamespace: 'ambit-system', nodeName: 'n1' };
}
