/** One request to the node agent, which decides about a pod and enrols it. */

import { isJsonObject } from './invocation.ts';

/** The agent's answer, or that it could not be had. */
export type AgentAnswer =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  | { readonly kind: 'unreachable'; readonly reason: string };

export interface AgentCall {
  readonly socketPath: string;
  readonly path: '/cmdadd' | '/cmddel';
  readonly body: object;
  /** Until the whole answer is there. */
  readonly timeoutMs: number;
}

/** An answer is a line; more than this is not the agent's. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** Never rejects. */
export function callAgent(call: AgentCall): Promise<AgentAnswer> {
  const { socketPath, path, timeoutMs } = call;
  const body = JSON.stringify(call.body);
  // An import would also load what this module has for browsers' interfaces: 40 ms of a run that takes 80.
  const { request } = process.getBuiltinModule('node:http');
  return new Promise((resolve) => {
    const fail = (error: Error) => resolve({ kind: 'unreachable', reason: error.message });
    const sent = request(
      {
        socketPath,
        path,
        method: 'POST',
        agent: false,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > MAX_ANSWER_BYTES) response.destroy(new Error('an answer without end'));
        });
        response.on('error', fail);
        response.on('end', () => resolve(answerOf(response.statusCode ?? 0, text)));
      },
    );
    sent.on('error', fail);
    sent.end(body);
  });
}

function answerOf(status: number, text: string): AgentAnswer {
  if (status === 200) return { kind: 'done' };
  const body = parse(text);
  const { error, code } = isJsonObject(body) ? body : {};
  return {
    kind: 'refused',
    code: typeof code === 'string' ? code : '',
    message: typeof error === 'string' ? error : `the node agent answered ${status}`,
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
