/** Puts the parts of an installation together: executable, entry in the CNI configuration, kubeconfig. */

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KubeClient } from '../../kube/kube-client.ts';
import type { CniMetrics } from '../cni-metrics.ts';
import type { EnrolmentSettings } from '../enrolment-decision.ts';
import { cniErrors } from '../errors.ts';
import { KUBECONFIG_NAME, PLUGIN_SOCKET_NAME, pluginEntry } from '../plugin/plugin-config.ts';
import { ConflistEntry } from './conflist-entry.ts';
import { Installer } from './installer.ts';
import type { LauncherArchitecture } from './launcher.ts';
import { PluginExecutable, removeExecutable } from './plugin-executable.ts';
import { PluginKubeconfig } from './plugin-kubeconfig.ts';
import { issuePluginToken } from './plugin-token.ts';
import { programFiles } from './program-files.ts';
import { ownRuntimeFiles } from './runtime-files.ts';

/** The node's folders, where this process sees them. */
export interface PluginPlaces {
  /** Of CNI plugins. */
  readonly binDir: string;
  /** Of CNI configurations. */
  readonly confDir: string;
  /** With the sockets and the kubeconfig; under the same path for the agent and for the node. */
  readonly runDir: string;
}

export interface InstallOptions extends PluginPlaces {
  readonly ownConflist: boolean;
  readonly settings: EnrolmentSettings;
  readonly client: KubeClient;
  /** Of the agent and of the plugin's ServiceAccount. */
  readonly namespace: string;
  readonly metrics: CniMetrics;
}

/** Kubernetes puts it beside every token. */
const CA_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt';

/** @throws AMBIT_CNI_INSTALL_FAILED when the files of this program are not what is needed */
export function makeInstaller(options: InstallOptions): Installer {
  const { binDir, confDir, runDir, ownConflist, settings, client, namespace, metrics } = options;
  const executable = new PluginExecutable({
    binDir,
    architecture: ownArchitecture(),
    runtime: ownRuntimeFiles(),
    program: programFiles(fileURLToPath(new URL('../plugin/main.ts', import.meta.url))),
  });
  const entry = new ConflistEntry({ confDir, ownConflist, entry: pluginEntry({ runDir, settings }) });
  const kubeconfig = new PluginKubeconfig({
    path: join(runDir, KUBECONFIG_NAME),
    server: client.server.href,
    caPem: existsSync(CA_FILE) ? readFileSync(CA_FILE, 'utf8') : undefined,
    issueToken: () => issuePluginToken(client, namespace),
  });
  return new Installer({
    parts: [
      { part: executable, failure: 'COPY_BINARIES_FAILURE' },
      { part: entry, failure: 'CREATE_CNI_CONFIG_FAILURE' },
      { part: kubeconfig, failure: 'CREATE_KUBECONFIG_FAILURE' },
    ],
    folders: [binDir, confDir],
    onResult: (result) => metrics.countInstall(result),
    onReady: (isReady) => metrics.setInstallReady(isReady),
  });
}

/** Takes away what an installer, whichever, has put on the node. */
export function removePlugin({ binDir, confDir, runDir }: PluginPlaces): void {
  new ConflistEntry({ confDir, entry: {}, ownConflist: false }).remove();
  removeExecutable(binDir);
  for (const name of [KUBECONFIG_NAME, PLUGIN_SOCKET_NAME]) rmSync(join(runDir, name), { force: true });
}

function ownArchitecture(): LauncherArchitecture {
  if (process.arch === 'x64' || process.arch === 'arm64') return process.arch;
  throw cniErrors.AMBIT_CNI_INSTALL_FAILED(`there is no launcher of the CNI plugin for ${process.arch}`);
}
