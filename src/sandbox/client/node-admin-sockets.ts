/** How commands about a mesh in a sandbox reach the admin API of its node proxies. */

import { SandboxClient } from './sandbox-client.ts';

export interface NodeAdminSocket {
  readonly node: string;
  /** A Unix socket that speaks the HTTP of the admin API. */
  readonly socketPath: string;
}

/** Of every node of the sandbox of this name. @throws AMBIT_SANDBOX_NOT_UP, AMBIT_SANDBOX_NAME_INVALID */
export async function nodeAdminSockets(name: string): Promise<readonly NodeAdminSocket[]> {
  const { nodes } = await SandboxClient.named(name).call('environment', {});
  return nodes.flatMap(({ name: node, ztunnel }) =>
    ztunnel === undefined ? [] : [{ node, socketPath: ztunnel.adminSocket }],
  );
}
