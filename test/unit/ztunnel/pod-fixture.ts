/** Pods for tests of the control thread: handles on files that stand for namespaces, and threads that only listen. */

import { fstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { NetworkNamespace } from '../../../src/sys/network-namespace.ts';
import type { PodRegistryEvents, PodThreads } from '../../../src/ztunnel/control/pod-registry.ts';
import type { PodInfo, ToReactor } from '../../../src/ztunnel/proxy/messages.ts';

const folder = mkdtempSync(join(tmpdir(), 'ambit-pods-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A path whose descriptors are told apart by their inode, as those of network namespaces are. */
export function namespacePath(name: string): string {
  const path = join(folder, name);
  writeFileSync(path, '', { flag: 'a' });
  return path;
}

/** A new handle; equal names are the same namespace. */
export function namespaceNamed(name: string): NetworkNamespace {
  return NetworkNamespace.open(namespacePath(name));
}

export function isOpen(namespace: NetworkNamespace): boolean {
  try {
    const { dev, ino } = fstatSync(namespace.fd, { bigint: true });
    return `${dev}:${ino}` === namespace.inode;
  } catch {
    return false;
  }
}

export function podInfo(uid: string): PodInfo {
  return { uid, name: `pod-${uid}`, namespace: 'shop', serviceAccount: 'orders', searchDomains: [] };
}

/** Keeps what the threads would get. */
export class RecordingThreads implements PodThreads {
  readonly size: number;
  readonly messages: ToReactor[] = [];

  constructor(size: number) {
    this.size = size;
  }

  broadcast(message: ToReactor): void {
    this.messages.push(message);
  }

  /** `pod-add u1 #1`, `pod-remove u1`. */
  get told(): string[] {
    return this.messages.map((message) => {
      if (message.kind === 'pod-add') return `pod-add ${message.pod.uid} #${message.attempt}`;
      return message.kind === 'pod-remove' ? `pod-remove ${message.uid}` : message.kind;
    });
  }
}

/** `started u1`, `stopped u1`, in order. */
export class RecordingEvents implements PodRegistryEvents {
  readonly log: string[] = [];

  onStarted(info: PodInfo): void {
    this.log.push(`started ${info.uid}`);
  }

  onStopped(info: PodInfo): void {
    this.log.push(`stopped ${info.uid}`);
  }
}
