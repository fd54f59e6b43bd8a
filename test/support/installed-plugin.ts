/** The CNI plugin as a runtime meets it: the installed executable, run with an environment and standard input. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PluginExecutable } from '../../src/cni/install/plugin-executable.ts';
import { programFiles } from '../../src/cni/install/program-files.ts';
import { ownRuntimeFiles } from '../../src/cni/install/runtime-files.ts';

export interface PluginRun {
  readonly status: number | null;
  readonly output: string;
}

const ENTRY = join(import.meta.dirname, '../../src/cni/plugin/main.ts');
const RESULT = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'eth0' }],
  ips: [{ address: '10.0.0.1/24', gateway: '10.0.0.254', interface: 0 }],
};

export class InstalledPlugin {
  readonly binDir = mkdtempSync(join(tmpdir(), 'cni-bin-'));
  readonly executable: PluginExecutable;
  readonly path = join(this.binDir, 'ambit-cni');

  constructor() {
    this.executable = new PluginExecutable({
      binDir: this.binDir,
      architecture: process.arch === 'arm64' ? 'arm64' : 'x64',
      runtime: ownRuntimeFiles(),
      program: programFiles(ENTRY),
    });
  }

  /** Runs it as runtimes do. */
  run(environment: Readonly<Record<string, string>>, config: object | string): Promise<PluginRun> {
    return runProgram([this.path], environment, typeof config === 'string' ? config : JSON.stringify(config));
  }

  /** ADD, with what kubelet's runtimes tell. */
  add(config: object, pod: { readonly namespace: string; readonly name: string; readonly uid?: string }) {
    const uid = pod.uid === undefined ? '' : `;K8S_POD_UID=${pod.uid}`;
    const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name}${uid}`;
    return this.run(sandboxEnvironment('ADD', args), {
      cniVersion: '1.0.0',
      name: 'pods',
      type: 'ambit-cni',
      ...config,
      prevResult: RESULT,
    });
  }

  close(): void {
    rmSync(this.binDir, { recursive: true });
  }
}

export function sandboxEnvironment(command: string, args = ''): Record<string, string> {
  return {
    CNI_COMMAND: command,
    CNI_CONTAINERID: 'c0ffee',
    CNI_NETNS: '/var/run/netns/cni-1',
    CNI_IFNAME: 'eth0',
    CNI_ARGS: args,
    CNI_PATH: '/opt/cni/bin',
  };
}

export function runProgram(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
  input: string,
): Promise<PluginRun> {
  return new Promise((resolve, reject) => {
    const [program, ...args] = command;
    const child = spawn(program!, args, { env: environment, stdio: ['pipe', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      output += chunk;
    });
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, output }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}
