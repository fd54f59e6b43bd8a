/** Runs on a node of a sandbox: asks the control plane to sign what it should not, with the token of the node's proxy. */

import { readFileSync } from 'node:fs';
import { AmbitError } from '../../src/base/errors.ts';
import { parseSpiffeId } from '../../src/base/spiffe-id.ts';
import { createCertificateRequest } from '../../src/identity/certificate-request.ts';
import { KeyPair } from '../../src/identity/key-pair.ts';
import { CallCredentials } from '../../src/xds/call-credentials.ts';
import { GrpcCertificateClient } from '../../src/xds/certificate-client.ts';

/** Where the control plane is, and what a proxy of the node has to reach it. */
export interface AskerPlan {
  readonly host: string;
  readonly port: number;
  readonly rootFile: string;
  readonly tokenFile: string;
  readonly identities: readonly AskedIdentity[];
}

export interface AskedIdentity {
  readonly spiffeId: string;
  /** Bytes to add to the request; none when left out. */
  readonly padding?: number;
}

/** What was answered: the number of certificates, or the error. */
export type AskerAnswer =
  | { readonly certificates: number }
  | { readonly code: string; readonly message: string };

const VALIDITY_SECONDS = 3600;
const TIMEOUT_MS = 20_000;

async function ask(client: GrpcCertificateClient, asked: AskedIdentity): Promise<AskerAnswer> {
  const identity = parseSpiffeId(asked.spiffeId)!;
  const csr = `${createCertificateRequest(KeyPair.generate(), identity)}${'\n'.repeat(asked.padding ?? 0)}`;
  try {
    const chain = await client.sign(csr, identity, VALIDITY_SECONDS, AbortSignal.timeout(TIMEOUT_MS));
    return { certificates: chain.length };
  } catch (thrown) {
    if (thrown instanceof AmbitError) return { code: thrown.code, message: thrown.message };
    throw thrown;
  }
}

if (process.argv[1] === import.meta.filename) {
  const plan = JSON.parse(readFileSync(0, 'utf8')) as AskerPlan;
  const client = new GrpcCertificateClient({
    target: { host: plan.host, port: plan.port, serverName: 'istiod.istio-system.svc' },
    roots: { kind: 'file', path: plan.rootFile },
    credentials: new CallCredentials({ tokenPath: plan.tokenFile, clusterId: 'Kubernetes' }),
  });
  const answers: AskerAnswer[] = [];
  for (const asked of plan.identities) answers.push(await ask(client, asked));
  client.close();
  process.stdout.write(JSON.stringify(answers));
}
