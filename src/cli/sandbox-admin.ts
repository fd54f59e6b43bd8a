/** The admin APIs of the node proxies of a sandbox, which listen on loopback inside their network namespaces. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { messageOf } from '../base/errors.ts';
import { HostView } from '../sandbox/client/host-view.ts';
import { SandboxClient } from '../sandbox/client/sandbox-client.ts';
import type { NodeAdmin } from './admin-source.ts';
import { errors } from './errors.ts';

const execFileAsync = promisify(execFile);
const MAX_ANSWER_BYTES = 512 * 1024 * 1024;

/** One for each node that runs a proxy. @throws AmbitError AMBIT_SANDBOX_NOT_UP */
export async function sandboxAdmins(name: string): Promise<NodeAdmin[]> {
  const raw = await SandboxClient.named(name).call('environment', {});
  const { nodes } = new HostView(raw.state).translate(raw);
  return nodes.flatMap(({ name: node, ztunnel }) => {
    if (ztunnel?.enter === undefined) return [];
    const { enter, adminPort } = ztunnel;
    return [
      {
        node,
        request: (method, path) => requestInside(enter, method, `http://127.0.0.1:${adminPort}${path}`),
      },
    ];
  });
}

async function requestInside(enter: readonly string[], method: string, url: string): Promise<string> {
  const curl = [
    'curl',
    '--silent',
    '--show-error',
    '--fail-with-body',
    '--max-time',
    '30',
    '-X',
    method,
    url,
  ];
  const [program, ...args] = [...enter, ...curl] as [string, ...string[]];
  try {
    return (await execFileAsync(program, args, { maxBuffer: MAX_ANSWER_BYTES })).stdout;
  } catch (thrown) {
    const { stdout, stderr } = thrown as { stdout?: string; stderr?: string };
    const words = stdout || stderr || messageOf(thrown);
    throw errors.AMBIT_CLI_UNREACHABLE(`${url} inside the sandbox: ${words.trim()}`, thrown);
  }
}
