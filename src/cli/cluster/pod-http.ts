/** One HTTP request over a stream that leads to a port of a pod. */

import { type IncomingMessage, request as startRequest } from 'node:http';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { messageOf } from '../../base/errors.ts';
import { errors } from '../errors.ts';

export interface PodExchange {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Who is asked, for messages: `ambit-ztunnel-x7x2k:15000`. */
  readonly origin: string;
  readonly timeoutMs: number;
}

/** @throws AmbitError AMBIT_CLI_USAGE for what the pod does not understand, else AMBIT_CLI_UNREACHABLE */
export async function requestThrough(stream: Duplex, exchange: PodExchange): Promise<string> {
  const { origin, path } = exchange;
  const { statusCode, body } = await exchangeOver(stream, exchange);
  if (statusCode === 200) return body;
  const answer = `${origin}${path} answered ${statusCode}: ${body.trim()}`;
  throw statusCode === 400 ? errors.AMBIT_CLI_USAGE(answer) : errors.AMBIT_CLI_UNREACHABLE(answer);
}

/** What a kubelet says about a port where nobody listens names everything but that. */
function reasonOf(thrown: unknown): string {
  const text = messageOf(thrown);
  return text.includes('connection refused') ? 'nobody listens there' : text;
}

async function exchangeOver(
  stream: Duplex,
  { method, path, origin, timeoutMs }: PodExchange,
): Promise<{ statusCode: number | undefined; body: string }> {
  const deadline = AbortSignal.timeout(timeoutMs);
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = startRequest({
        method,
        path,
        headers: { host: 'localhost', connection: 'close' },
        createConnection: () => stream,
        signal: deadline,
      });
      request.once('response', resolve).once('error', reject).end();
    });
    return { statusCode: response.statusCode, body: await text(response) };
  } catch (thrown) {
    const why = deadline.aborted ? `no answer within ${timeoutMs / 1000} s` : reasonOf(thrown);
    throw errors.AMBIT_CLI_UNREACHABLE(`${origin} cannot be asked: ${why}`, thrown);
  } finally {
    stream.destroy();
  }
}
