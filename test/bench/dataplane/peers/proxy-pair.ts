/** Two proxies of somebody else, one beside each plain pod, with certificates of a mesh of their own. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Leaf, makeLeaf, makeRoot } from '../../../support/certificates.ts';
import { eventuallyAnswers } from '../../../support/eventually.ts';
import { type Enter, startInside } from '../../../support/program-inside.ts';
import type { BenchSandbox } from '../bench-sandbox.ts';
import type { Peer, PeerName } from './peer.ts';

const START_DEADLINE_MS = 20_000;

/** Of one proxy, also as files. */
export interface Credentials {
  readonly identity: string;
  readonly leaf: Leaf;
  readonly rootPem: string;
  /** Chain and key in one file. */
  readonly leafFile: string;
  readonly rootFile: string;
}

export interface ProxyPairPlan {
  readonly name: PeerName;
  /** Where the proxy of the calling side takes connections, on the loopback of its pod; of this peer alone. */
  readonly entryPort: number;
  /** What is run in a pod with a configuration. */
  readonly command: (configuration: string) => readonly string[];
  readonly outbound: (own: Credentials, other: Credentials) => string;
  readonly inbound: (own: Credentials, other: Credentials) => string;
}

/** Resolves when a request comes through; both end with `closing`. */
export async function startProxyPair(
  plan: ProxyPairPlan,
  sandbox: BenchSandbox,
  closing: DisposableStack,
): Promise<Peer> {
  const folder = join(sandbox.session.commands.folder, plan.name);
  mkdirSync(folder);
  const [front, back] = makeCredentials(folder);
  const { client, enterFront, enterBack } = sandbox.plain;
  const start = (name: string, enter: Enter, configuration: string) => {
    const file = join(folder, name);
    writeFileSync(file, configuration);
    const child = startInside(enter, plan.command(file));
    closing.defer(() => child.kill('SIGKILL'));
    child.stdout.resume();
    return child.pid!;
  };
  const pids = [
    start('outbound', enterFront, plan.outbound(front, back)),
    start('inbound', enterBack, plan.inbound(back, front)),
  ];
  const target = `127.0.0.1:${plan.entryPort}`;
  const answers = async () => (await client.run({ kind: 'idle', connections: 1, target })).amount === 1;
  await eventuallyAnswers(`an answer through ${plan.name}`, answers, START_DEADLINE_MS);
  return { name: plan.name, client, target, pids };
}

function makeCredentials(folder: string): readonly [Credentials, Credentials] {
  const authority = makeRoot('bench');
  const rootPem = authority.certificatePem;
  const rootFile = join(folder, 'root.pem');
  writeFileSync(rootFile, rootPem);
  const make = (name: string): Credentials => {
    const identity = `spiffe://cluster.local/ns/plain/sa/${name}`;
    const leaf = makeLeaf(authority, { spiffeId: identity });
    const leafFile = join(folder, `${name}.pem`);
    writeFileSync(leafFile, leaf.chainPem + leaf.privateKeyPem, { mode: 0o600 });
    return { identity, leaf, rootPem, leafFile, rootFile };
  };
  return [make('front'), make('back')];
}
