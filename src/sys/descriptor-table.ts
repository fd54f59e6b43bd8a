/** Room for a process's descriptors, taken before anybody waits for it. */

import { openEventFd } from './event-fd.ts';
import * as k from './layouts.ts';
import { kernelResult, libc } from './libc.ts';
import { closeDescriptor } from './sockets.ts';

/** More than a node's pods usually hold together; the kernel keeps 8 bytes for each. */
const EXPECTED_DESCRIPTORS = 65_536;

/**
 * Makes the kernel's table as large as it is likely to become, or as the limit of the process allows. It doubles when it is full, and
 * while threads share it, each of them that opens a descriptor meanwhile waits for that: 10 to 20 ms (synchronize_rcu).
 */
export function reserveDescriptors(): void {
  const fd = openEventFd();
  for (let size = EXPECTED_DESCRIPTORS; size > fd; size /= 2) {
    const highest = kernelResult(libc.fcntl(fd, k.F_DUPFD_CLOEXEC, size - 1));
    if (highest < 0) continue;
    closeDescriptor(highest);
    break;
  }
  closeDescriptor(fd);
}
