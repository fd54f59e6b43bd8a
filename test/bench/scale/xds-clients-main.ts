/** Many delta xDS clients in one process, which look at the names of what they get and acknowledge it, and at nothing else. */

import { readFileSync } from 'node:fs';
import { CallCredentials } from '../../../src/xds/call-credentials.ts';
import { DELTA_ADS_PATH, DeltaDiscoveryRequest } from '../../../src/xds/discovery-messages.ts';
import type { GrpcClientCall } from '../../../src/xds/grpc/client-call.ts';
import { GrpcChannel } from '../../../src/xds/grpc/grpc-channel.ts';
import { MESH_TYPE_URLS } from '../../../src/xds/mesh-resources.ts';
import { message, repeated, singular } from '../../../src/xds/message-schema.ts';
import { nodeOf } from '../../../src/xds/node-identity.ts';
import { STRING } from '../../../src/xds/wire-type.ts';

/** What the parent says, by IPC. */
export type ToClients =
  | { readonly kind: 'start'; readonly plan: ClientsPlan }
  /** Until every client has all of these. */
  | { readonly kind: 'expect'; readonly names: readonly string[] }
  | { readonly kind: 'usage' };

export interface ClientsPlan {
  readonly port: number;
  readonly rootsPath: string;
  readonly tokenPath: string;
  readonly clients: number;
  /** Resources of the first state. */
  readonly resources: number;
}

export type FromClients =
  /** Every client has the first state. */
  | { readonly kind: 'synced' }
  /** For each name expected, when the last client had it, in Unix time. */
  | { readonly kind: 'complete'; readonly times: readonly (readonly [string, number])[] }
  | { readonly kind: 'usage'; readonly cpuSeconds: number; readonly bytes: number; readonly messages: number }
  | { readonly kind: 'failed'; readonly error: string };

/** The response without what is in the resources: reading it all two hundred times would be the bottleneck. */
const NamesOnly = message('NamesOnly', {
  resources: repeated(2, message('Name', { name: singular(3, STRING) })),
  typeUrl: singular(4, STRING),
  nonce: singular(5, STRING),
});

/** How many clients have a resource, and when the last of them got it. */
const seen = new Map<string, { clients: number; atMs: number }>();
let expected: readonly string[] | undefined;
let clients = 0;
let synced = 0;
let bytesReceived = 0;
let messages = 0;

function say(what: FromClients): void {
  process.send!(what);
}

function start(plan: ClientsPlan): void {
  clients = plan.clients;
  for (let i = 0; i < plan.clients; i++) {
    run(plan, i).catch((thrown: unknown) => say({ kind: 'failed', error: String(thrown) }));
  }
}

async function run(plan: ClientsPlan, index: number): Promise<void> {
  const roots = { kind: 'pem' as const, pem: readFileSync(plan.rootsPath, 'utf8') };
  const serverName = 'ambit-controlplane.ambit-system.svc';
  const channel = new GrpcChannel({
    target: { host: '127.0.0.1', port: plan.port, serverName },
    roots: () => roots,
    connectTimeoutMs: 60_000,
  });
  const credentials = new CallCredentials({ tokenPath: plan.tokenPath, clusterId: 'Kubernetes' });
  const call = await channel.open(DELTA_ADS_PATH, { metadata: await credentials.metadata() });
  await subscribe(call, index);
  let missing = plan.resources;
  for await (const bytes of call.messages()) {
    const { resources, typeUrl, nonce } = NamesOnly.decode(bytes);
    bytesReceived += bytes.length;
    messages++;
    take(resources);
    const wasMissing = missing > 0;
    missing -= resources.length;
    if (wasMissing && missing <= 0) onSynced();
    await call.write(DeltaDiscoveryRequest.encode({ typeUrl, responseNonce: nonce }));
  }
}

async function subscribe(call: GrpcClientCall, index: number): Promise<void> {
  const node = nodeOf({
    instanceIp: '10.200.0.1',
    podName: `ambit-ztunnel-${index}`,
    podNamespace: 'ambit-system',
    nodeName: `node-${index}`,
    clusterId: 'Kubernetes',
  });
  for (const typeUrl of MESH_TYPE_URLS) await call.write(DeltaDiscoveryRequest.encode({ node, typeUrl }));
}

/** Names are counted from the first resource of them on: a new pod has a new name. */
function take(resources: readonly { readonly name: string }[]): void {
  if (synced < clients) return;
  const atMs = performance.timeOrigin + performance.now();
  for (const { name } of resources) {
    const entry = seen.get(name);
    if (entry === undefined) seen.set(name, { clients: 1, atMs });
    else if (entry.clients < clients) {
      entry.clients++;
      entry.atMs = atMs;
    }
  }
  reportIfComplete();
}

function reportIfComplete(): void {
  if (expected === undefined) return;
  const times = expected.map((name) => [name, seen.get(name)] as const);
  if (!times.every(([, entry]) => entry?.clients === clients)) return;
  expected = undefined;
  say({ kind: 'complete', times: times.map(([name, entry]) => [name, entry!.atMs]) });
}

function onSynced(): void {
  if (++synced === clients) say({ kind: 'synced' });
}

function usage(): FromClients {
  const { user, system } = process.cpuUsage();
  return { kind: 'usage', cpuSeconds: (user + system) / 1e6, bytes: bytesReceived, messages };
}

process.on('message', (what: ToClients) => {
  if (what.kind === 'start') start(what.plan);
  else if (what.kind === 'usage') say(usage());
  else {
    expected = what.names;
    reportIfComplete();
  }
});
process.once('disconnect', () => process.exit(0));
