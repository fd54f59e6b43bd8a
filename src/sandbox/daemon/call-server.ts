/** Takes the calls of the commands on the daemon's Unix socket. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { AmbitError, messageOf } from '../../base/errors.ts';
import { logger } from '../../telemetry/log.ts';
import type { CallName, ErrorAnswer, SandboxCalls } from '../client/sandbox-protocol.ts';
import { sandboxErrors } from '../errors.ts';

const log = logger('daemon');

/** All manifests of a large cluster; more is a mistake. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;

export type CallHandlers = {
  readonly [C in CallName]: (
    request: SandboxCalls[C]['request'],
  ) => SandboxCalls[C]['response'] | Promise<SandboxCalls[C]['response']>;
};

/** Resolves when calls are taken: `POST /CALL` with a JSON body. */
export function serveCalls(socketPath: string, handlers: CallHandlers): Promise<void> {
  const server = createServer((request, response) => void answer(handlers, request, response));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
}

async function answer(
  handlers: CallHandlers,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const name = (request.url ?? '').slice(1);
    const handler = Object.hasOwn(handlers, name) ? handlers[name as CallName] : undefined;
    if (handler === undefined || request.method !== 'POST') return send(response, 404, {});
    const body = JSON.parse(await bodyOf(request)) as never;
    send(response, 200, await handler(body));
  } catch (thrown) {
    const error =
      thrown instanceof AmbitError ? thrown : sandboxErrors.AMBIT_SANDBOX_INTERNAL(messageOf(thrown));
    if (error !== thrown) log.error('a call failed', { call: request.url, error: messageOf(thrown) });
    const { code, side, hint, message } = error;
    send(response, 400, { code, side, hint, message } satisfies ErrorAnswer);
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > MAX_BODY_BYTES) throw new RangeError('the request is too large');
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
