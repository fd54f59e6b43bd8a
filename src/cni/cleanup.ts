/** Takes everything away that agents have put on a node: for uninstalling the mesh. */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { ObjectSource } from '../objects/object-source.ts';
import { NetworkNamespace } from '../sys/network-namespace.ts';
import { logger } from '../telemetry/log.ts';
import { REDIRECTION_ANNOTATION } from './enrolment-state.ts';
import { chooseIptables } from './iptables-tools.ts';
import { ProbeExemption } from './probe-exemption.ts';
import { ProcessNetns } from './process-netns.ts';
import { Redirection } from './redirection.ts';

export interface CleanupOptions {
  readonly netnsFolder: string;
  /** The node's /proc, where this process sees it; absent: namespaces are looked for in the folder alone. */
  readonly hostProc: string | undefined;
  readonly hostNetnsPath: string | undefined;
  readonly iptables: string | undefined;
  readonly node: string;
  /** Where pods lose their annotation; absent: nowhere. */
  readonly source: ObjectSource | undefined;
}

const log = logger('cni');

/**
 * Removes redirection from every namespace of a pod, the rules and sets of probe exemption, and the
 * annotations of this node's pods. One namespace that resists does not save the others.
 * @returns the number of namespaces that could not be cleaned
 */
export async function cleanUp(options: CleanupOptions): Promise<number> {
  const { hostNetnsPath } = options;
  const host =
    hostNetnsPath === undefined ? NetworkNamespace.current() : NetworkNamespace.open(hostNetnsPath);
  const iptables = await chooseIptables(options.iptables, host);
  const redirection = new Redirection(iptables);
  let failures = 0;
  for (const path of namespacePaths(options, host.inode)) {
    const isClean = await cleanNamespace(redirection, path, host.inode);
    if (!isClean) failures++;
  }
  await new ProbeExemption({ iptables, host }).uninstall();
  if (options.source !== undefined) await removeAnnotations(options.source, options.node);
  log.info('cleaned up', { failures });
  return failures;
}

/** One that is found both ways is looked at twice, and the second time there is nothing left in it. */
function namespacePaths({ netnsFolder, hostProc }: CleanupOptions, hostInode: string): string[] {
  const mounted = existsSync(netnsFolder) ? readdirSync(netnsFolder) : [];
  const ofProcesses = hostProc === undefined ? [] : new ProcessNetns(hostProc, hostInode).paths();
  return [...mounted.map((name) => join(netnsFolder, name)), ...ofProcesses];
}

async function cleanNamespace(redirection: Redirection, path: string, hostInode: string): Promise<boolean> {
  let namespace: NetworkNamespace | undefined;
  try {
    namespace = NetworkNamespace.open(path);
    if (namespace.inode === hostInode) return true;
    if (await redirection.remove(namespace)) log.info('redirection removed', { netns: path });
    return true;
  } catch (thrown) {
    log.error('redirection not removed', { netns: path, error: messageOf(thrown) });
    return false;
  } finally {
    namespace?.close();
  }
}

async function removeAnnotations(source: ObjectSource, node: string): Promise<void> {
  await source.start();
  const annotated = source
    .list('Pod')
    .filter(
      (pod) =>
        pod.spec?.nodeName === node && pod.metadata.annotations?.[REDIRECTION_ANNOTATION] !== undefined,
    );
  for (const { metadata } of annotated) {
    const reference = { kind: 'Pod', namespace: metadata.namespace, name: metadata.name } as const;
    await source.patch(reference, { annotations: { [REDIRECTION_ANNOTATION]: null } });
  }
  source.stop();
}
