/** Where a command reads a node proxy's admin API: over the network, out of a saved dump, or through a sandbox. */

import { readFileSync } from 'node:fs';
import { messageOf } from '../base/errors.ts';
import { errors } from './errors.ts';

/** The admin API of the proxy of one node. */
export interface NodeAdmin {
  readonly node: string;
  /** The body of the answer. @throws AmbitError AMBIT_CLI_UNREACHABLE */
  request(method: 'GET' | 'POST', path: string): Promise<string>;
}

/** How long a proxy may take to answer; a dump of a very large mesh takes a few seconds. */
const REQUEST_TIMEOUT_MS = 30_000;

/** A proxy that this machine can reach itself, given as host:port. @throws AmbitError AMBIT_CLI_USAGE */
export function directAdmin(address: string): NodeAdmin {
  const url = URL.parse(`http://${address}`);
  if (url === null || url.href !== `http://${url.host}/`) {
    throw errors.AMBIT_CLI_USAGE(`${address} is not the host:port of an admin API`);
  }
  return {
    node: address,
    request: (method, path) => requestOver({ origin: `http://${address}` }, method, path),
  };
}

/** A dump that was saved to a file; there is nothing to change in it. */
export function fileAdmin(path: string): NodeAdmin {
  return {
    node: path,
    request: async (method, wanted) => {
      if (method !== 'GET' || !wanted.startsWith('/config_dump')) {
        throw errors.AMBIT_CLI_USAGE('a saved dump can only be read');
      }
      try {
        return readFileSync(path, 'utf8');
      } catch (thrown) {
        throw errors.AMBIT_CLI_BAD_DUMP(`${path} cannot be read: ${messageOf(thrown)}`, thrown);
      }
    },
  };
}

/**
 * One HTTP request, to an origin or through a Unix socket; any status but 200 is an error with the server's words.
 * @throws AmbitError AMBIT_CLI_USAGE for what the server does not understand, else AMBIT_CLI_UNREACHABLE
 */
export async function requestOver(
  target: { readonly origin: string; readonly socketPath?: string },
  method: 'GET' | 'POST',
  path: string,
): Promise<string> {
  const { Client } = await import('undici');
  const client = new Client(target.origin, {
    ...(target.socketPath !== undefined && { socketPath: target.socketPath }),
    allowH2: false,
    headersTimeout: REQUEST_TIMEOUT_MS,
    bodyTimeout: REQUEST_TIMEOUT_MS,
  });
  try {
    const { statusCode, body } = await client.request({ method, path });
    const text = await body.text();
    if (statusCode === 200) return text;
    const answer = `${target.origin}${path} answered ${statusCode}: ${text.trim()}`;
    throw statusCode === 400 ? errors.AMBIT_CLI_USAGE(answer) : errors.AMBIT_CLI_UNREACHABLE(answer);
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && String(thrown.code).startsWith('AMBIT_')) throw thrown;
    throw errors.AMBIT_CLI_UNREACHABLE(`${target.origin} cannot be reached: ${messageOf(thrown)}`, thrown);
  } finally {
    await client.destroy();
  }
}
