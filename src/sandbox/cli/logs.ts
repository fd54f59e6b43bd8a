/** `ambit sandbox logs`: what a container has written. */

import { closeSync, openSync, readSync } from 'node:fs';
import { SandboxClient } from '../client/sandbox-client.ts';
import { sandboxErrors } from '../errors.ts';

export interface LogsOptions {
  readonly name: string;
  readonly namespace: string;
  readonly container?: string;
  readonly follow?: boolean;
  /** Only so many of the last lines. */
  readonly tail?: number;
}

const BLOCK_BYTES = 64 * 1024;
const FOLLOW_MS = 100;

export async function logs(pod: string, options: LogsOptions): Promise<void> {
  const { name, namespace, container } = options;
  const query = {
    namespace,
    pod: pod.replace(/^pods?\//, ''),
    ...(container === undefined ? {} : { container }),
  };
  const { logFile } = await SandboxClient.named(name).call('container', query);
  const reader = openLog(logFile, query.pod);
  const text = options.tail === undefined ? undefined : lastLines(reader(), options.tail);
  await write(text ?? reader());
  while (options.follow) {
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
    await write(reader());
  }
}

/** Each call returns what is new since the one before. */
function openLog(path: string, pod: string): () => Buffer {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    throw sandboxErrors.AMBIT_SANDBOX_NOT_RUNNING(`pod ${pod} has not been started yet`);
  }
  process.once('exit', () => closeSync(file));
  return () => {
    const chunks: Buffer[] = [];
    for (;;) {
      const block = Buffer.alloc(BLOCK_BYTES);
      const length = readSync(file, block);
      if (length === 0) return Buffer.concat(chunks);
      chunks.push(block.subarray(0, length));
    }
  };
}

function lastLines(text: Buffer, count: number): Buffer {
  const lines = text.toString('utf8').split(/(?<=\n)/);
  return Buffer.from(count === 0 ? '' : lines.slice(-count).join(''));
}

/** A slow reader is waited for. */
function write(bytes: Buffer): Promise<void> {
  return new Promise((resolve) => process.stdout.write(bytes, () => resolve()));
}
