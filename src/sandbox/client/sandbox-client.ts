/** Calls the daemon of a sandbox. */

import { request } from 'node:http';
import { AmbitError, type ErrorSide } from '../../base/errors.ts';
import { StatePaths } from '../daemon/sandbox-config.ts';
import { sandboxErrors } from '../errors.ts';
import { stateDirectory } from '../host/state-directory.ts';
import type { CallName, ErrorAnswer, SandboxCalls } from './sandbox-protocol.ts';

export class SandboxClient {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** The client of the sandbox of this name. @throws AMBIT_SANDBOX_NAME_INVALID */
  static named(name: string): SandboxClient {
    return new SandboxClient(new StatePaths(stateDirectory(name)).socket);
  }

  /** @throws AMBIT_SANDBOX_NOT_UP, and whatever the call itself may raise */
  async call<C extends CallName>(
    name: C,
    body: SandboxCalls[C]['request'],
  ): Promise<SandboxCalls[C]['response']> {
    const { status, text } = await this.#post(name, JSON.stringify(body));
    if (status === 200) return JSON.parse(text) as SandboxCalls[C]['response'];
    const { code, side, hint, message } = JSON.parse(text) as ErrorAnswer;
    throw new AmbitError(code, { side: side as ErrorSide, hint }, message);
  }

  /** Whether a daemon takes calls. Never rejects. */
  async answers(): Promise<boolean> {
    try {
      await this.call('readiness', {});
      return true;
    } catch (thrown) {
      return !(thrown instanceof AmbitError && thrown.code === 'AMBIT_SANDBOX_NOT_UP');
    }
  }

  #post(name: CallName, body: string): Promise<{ readonly status: number; readonly text: string }> {
    return new Promise((resolve, reject) => {
      const fail = (thrown: Error) => {
        const message = `no sandbox answers at ${this.#socketPath}: ${thrown.message}`;
        reject(sandboxErrors.AMBIT_SANDBOX_NOT_UP(message, thrown));
      };
      const headers = { 'content-length': Buffer.byteLength(body) };
      const options = {
        socketPath: this.#socketPath,
        path: `/${name}`,
        method: 'POST',
        headers,
        agent: false,
      } as const;
      const call = request(options, (response) => {
        const chunks: Buffer[] = [];
        response.on('error', fail);
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') });
        });
      });
      call.on('error', fail);
      call.end(body);
    });
  }
}
