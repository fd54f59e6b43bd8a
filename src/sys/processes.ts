/** What a process asks the kernel for besides sockets: namespaces, mounts, and what it holds. */

import { readdirSync } from 'node:fs';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { succeeded } from './errno.ts';
import * as k from './layouts.ts';
import { kernelResult, libc } from './libc.ts';
import { forgetCurrentNamespace, type NetworkNamespace } from './network-namespace.ts';

/** Puts the calling thread into new namespaces for good. @throws AMBIT_SYSTEM_CALL_FAILED */
export function unshare(namespaces: { readonly network?: boolean; readonly mount?: boolean }): void {
  const flags =
    (namespaces.network === true ? k.CLONE_NEWNET : 0) | (namespaces.mount === true ? k.CLONE_NEWNS : 0);
  succeeded(kernelResult(libc.unshare(flags)), 'unshare');
  forgetCurrentNamespace();
}

/** Makes a file or folder appear at a second place. @throws AMBIT_SYSTEM_CALL_FAILED */
export function bindMount(source: string, target: string): void {
  const result = kernelResult(libc.mount(source, target, null, BigInt(k.MS_BIND | k.MS_REC), null));
  succeeded(result, `bind ${source} to ${target}`);
}

/** A fresh file system in memory. @throws AMBIT_SYSTEM_CALL_FAILED */
export function mountTmpfs(target: string): void {
  const flags = BigInt(k.MS_NOSUID | k.MS_NODEV);
  succeeded(kernelResult(libc.mount('tmpfs', target, 'tmpfs', flags, null)), `mount tmpfs on ${target}`);
}

/** Keeps the mounts of this mount namespace from spreading to others. @throws AMBIT_SYSTEM_CALL_FAILED */
export function makeMountsPrivate(): void {
  const result = kernelResult(libc.mount('none', '/', null, BigInt(k.MS_REC | k.MS_PRIVATE), null));
  succeeded(result, 'make mounts private');
}

/** Detaches a mount; it goes away when its last user does. @throws AMBIT_SYSTEM_CALL_FAILED */
export function unmount(target: string): void {
  succeeded(kernelResult(libc.umount2(target, k.MNT_DETACH)), `unmount ${target}`);
}

/** The interfaces of a network namespace that are up, with their addresses. */
export function networkInterfacesIn(
  namespace: NetworkNamespace,
): NodeJS.Dict<readonly NetworkInterfaceInfo[]> {
  return namespace.run(() => networkInterfaces());
}

/** How many descriptors this process has open. */
export function descriptorCount(): number {
  // The listing itself holds one.
  return readdirSync('/proc/self/fd').length - 1;
}
