/** `ambit sandbox logs`: what a container has written. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { SandboxClient } from '../client/sandbox-client.ts';
import { MESH_COMPONENTS, type MeshComponent } from '../client/sandbox-protocol.ts';
import { sandboxErrors } from '../errors.ts';

export interface LogsOptions {
  readonly name: string;
  readonly namespace: string;
  readonly container?: string;
  /** Of a component of the mesh; the first one by default. */
  readonly node?: string;
  readonly follow?: boolean;
  /** Only so many of the last lines. */
  readonly tail?: number;
}

const BLOCK_BYTES = 64 * 1024;
const FOLLOW_MS = 100;

/** @param pod or the name of a component of the mesh, with the node it is wanted of */
export async function logs(pod: string, options: LogsOptions): Promise<void> {
  const client = SandboxClient.named(options.name);
  const ofMesh = MESH_COMPONENTS.find((one) => one === pod);
  const path =
    ofMesh === undefined ? await podLog(client, pod, options) : await componentLog(client, ofMesh, options);
  const reader = openLog(path, pod);
  const text = options.tail === undefined ? undefined : lastLines(reader(), options.tail);
  await write(text ?? reader());
  while (options.follow) {
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
    await write(reader());
  }
}

async function podLog(client: SandboxClient, pod: string, options: LogsOptions): Promise<string> {
  const { namespace, container } = options;
  const answer = await client.call('container', {
    namespace,
    pod,
    ...(container === undefined ? {} : { container }),
  });
  return answer.logFile;
}

async function componentLog(
  client: SandboxClient,
  component: MeshComponent,
  { node }: LogsOptions,
): Promise<string> {
  const { nodes, controlPlane } = await client.call('environment', {});
  const onNode = nodes.find((one) => node === undefined || one.name === node);
  const found = component === 'controlplane' ? controlPlane?.process : onNode?.[component];
  if (found !== undefined) return found.log;
  const where = node === undefined ? '' : ` on ${node}`;
  throw sandboxErrors.AMBIT_SANDBOX_NOT_FOUND(`there is no ${component}${where} in this sandbox`);
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
  let position = 0;
  return () => {
    const chunks: Buffer[] = [];
    // A log that has grown too long was begun anew.
    if (fstatSync(file).size < position) position = 0;
    for (;;) {
      const block = Buffer.alloc(BLOCK_BYTES);
      const length = readSync(file, block, 0, block.length, position);
      if (length === 0) return Buffer.concat(chunks);
      position += length;
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
