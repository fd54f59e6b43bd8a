/** `ambit sandbox down`, `env` and `restart`. */

import { displayName } from '../api/kube-object.ts';
import { HostView } from '../client/host-view.ts';
import { SandboxClient } from '../client/sandbox-client.ts';
import type { SandboxCalls } from '../client/sandbox-protocol.ts';
import { endSandbox } from '../host/launcher.ts';
import { stateDirectory } from '../host/state-directory.ts';
import { formatData } from './output.ts';
import { note, print } from './terminal.ts';

/** A sandbox that is not there is down already. */
export async function down(name: string): Promise<void> {
  const found = await endSandbox(stateDirectory(name));
  note(found ? `sandbox ${name} ended` : `there is no sandbox ${name}`);
}

export async function env(name: string, format: 'json' | 'yaml'): Promise<void> {
  const environment = await SandboxClient.named(name).call('environment', {});
  process.stdout.write(formatData(format, new HostView(stateDirectory(name)).translate(environment)));
}

export async function restart(name: string, request: SandboxCalls['restart']['request']): Promise<void> {
  for (const reference of await SandboxClient.named(name).call('restart', request)) {
    print(`${displayName(reference)} restarted`);
  }
}
