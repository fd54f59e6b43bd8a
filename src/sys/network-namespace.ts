/** Network namespaces as handles that code can be run inside. */

import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { messageOf } from '../base/errors.ts';
import { errnoName, succeeded } from './errno.ts';
import { sysErrors } from './errors.ts';
import { CLONE_NEWNET } from './layouts.ts';
import { kernelResult, libc } from './libc.ts';

const OWN_NAMESPACE = '/proc/thread-self/ns/net';

/** Where this thread is: undefined until somebody asks. */
let here: NetworkNamespace | undefined;

/** A descriptor of a network namespace, such as /var/run/netns/… or one that came over a Unix socket. */
export class NetworkNamespace {
  readonly fd: number;
  /** `dev:ino`: equal for two handles exactly when they are of the same namespace. */
  readonly inode: string;

  private constructor(fd: number) {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    this.fd = fd;
    this.inode = `${dev}:${ino}`;
  }

  /** Opens a namespace file. @throws AMBIT_SYSTEM_CALL_FAILED */
  static open(path: string): NetworkNamespace {
    try {
      return new NetworkNamespace(openSync(path, 'r'));
    } catch (thrown) {
      const action = `open network namespace ${path}: ${messageOf(thrown)}`;
      throw sysErrors.AMBIT_SYSTEM_CALL_FAILED(action, thrown);
    }
  }

  /** Takes over a descriptor, which {@link close} closes. */
  static fromFd(fd: number): NetworkNamespace {
    return new NetworkNamespace(fd);
  }

  /** A new handle on the namespace this thread is in now. */
  static current(): NetworkNamespace {
    return NetworkNamespace.open(OWN_NAMESPACE);
  }

  /** Makes a namespace that nobody is in; it ends with its last handle. @throws AMBIT_SYSTEM_CALL_FAILED */
  static create(): NetworkNamespace {
    here ??= NetworkNamespace.current();
    const origin = here;
    succeeded(kernelResult(libc.unshare(CLONE_NEWNET)), 'make a network namespace');
    const created = NetworkNamespace.current();
    const result = enter(origin);
    if (result < 0) abort(`cannot return to network namespace ${origin.inode}: ${errnoName(result)}`);
    return created;
  }

  /**
   * Runs a synchronous function with this thread inside the namespace, and comes back. Calls may nest. Entering the
   * namespace one is in already needs no privilege.
   * @throws AMBIT_SYSTEM_CALL_FAILED when the namespace cannot be entered; what the function throws
   */
  run<T>(action: () => T): T {
    here ??= NetworkNamespace.current();
    const origin = here;
    if (origin.inode === this.inode) return action();
    succeeded(enter(this), `enter network namespace ${this.inode}`);
    here = this;
    try {
      return action();
    } finally {
      here = origin;
      const result = enter(origin);
      if (result < 0) abort(`cannot return to network namespace ${origin.inode}: ${errnoName(result)}`);
    }
  }

  close(): void {
    closeSync(this.fd);
  }
}

function enter(namespace: NetworkNamespace): number {
  return kernelResult(libc.setns(namespace.fd, CLONE_NEWNET));
}

/** A thread in the wrong namespace would open one pod's sockets in another pod: nothing may run any more. */
function abort(reason: string): never {
  writeSync(2, `ambit: fatal: ${reason}\n`);
  process.abort();
}
