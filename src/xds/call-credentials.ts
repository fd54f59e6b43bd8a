/** What a client adds to its calls so that the control plane knows it: token, cluster, headers of the operator. */

import { readFile } from 'node:fs/promises';
import { messageOf } from '../base/errors.ts';
import { xdsErrors } from './errors.ts';
import { type GrpcMetadata, isMetadata } from './grpc/grpc-metadata.ts';

export interface CallCredentialsOptions {
  /** Holds the service account token; read again for every call, for kubelet renews it. None: no token is sent. */
  readonly tokenPath?: string | undefined;
  readonly clusterId: string;
  /** From XDS_HEADER_… or CA_HEADER_…; names are sent in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

export class CallCredentials {
  readonly #options: CallCredentialsOptions;

  constructor(options: CallCredentialsOptions) {
    this.#options = options;
  }

  /** Throws AMBIT_TOKEN_UNREADABLE. Headers that HTTP cannot carry are left out. */
  async metadata(): Promise<GrpcMetadata> {
    const { tokenPath, clusterId, headers = {} } = this.#options;
    const metadata = new Map<string, string>();
    for (const [name, value] of Object.entries(headers)) metadata.set(name.toLowerCase(), value);
    metadata.set('clusterid', clusterId);
    if (tokenPath !== undefined) metadata.set('authorization', `Bearer ${await readToken(tokenPath)}`);
    return new Map([...metadata].filter(([name, value]) => isMetadata(name, value)));
  }
}

async function readToken(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (thrown) {
    throw xdsErrors.AMBIT_TOKEN_UNREADABLE(`the token ${path} cannot be read: ${messageOf(thrown)}`, thrown);
  }
}
