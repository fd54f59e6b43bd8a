/**
 * Compares the numbers of src/sys with the headers of C compilers: `scripts/check-layouts.ts gcc aarch64-linux-gnu-gcc`.
 * For whoever changes them, or has no machine of the other architecture.
 */

import { spawnSync } from 'node:child_process';
import { ERRNO } from '../src/sys/errno.ts';
import * as layouts from '../src/sys/layouts.ts';

/** Those of the C library first: those of the kernel leave out what they find defined. */
const HEADERS = [
  'errno.h',
  'fcntl.h',
  'sched.h',
  'stddef.h',
  'netinet/in.h',
  'netinet/tcp.h',
  'sys/epoll.h',
  'sys/eventfd.h',
  'sys/mman.h',
  'sys/socket.h',
  'sys/uio.h',
  'sys/un.h',
  'linux/filter.h',
  'linux/inet_diag.h',
  'linux/netfilter_ipv4.h',
  'linux/netlink.h',
  'linux/sock_diag.h',
];

/** Names of ours that are sums of theirs. */
const SUMS: Readonly<Record<string, string>> = {
  NONBLOCK_CLOEXEC: 'SOCK_NONBLOCK | SOCK_CLOEXEC',
  NLM_F_REQUEST_DUMP: 'NLM_F_REQUEST | NLM_F_DUMP',
  BPF_RET_K: 'BPF_RET | BPF_K',
  BPF_LOAD_BYTE: 'BPF_LD | BPF_B | BPF_ABS',
  BPF_AND_K: 'BPF_ALU | BPF_AND | BPF_K',
  BPF_JUMP_IF_EQUAL_K: 'BPF_JMP | BPF_JEQ | BPF_K',
};

/** In newer headers of the C library only; from linux/in6.h, which cannot be included beside netinet/in.h. */
const FROM_KERNEL: Readonly<Record<string, number>> = { IPV6_TRANSPARENT: 75, IPV6_FREEBIND: 78 };

/** Our name of a structure, its C type, and for each of our fields the C expression. */
const STRUCTURES: readonly (readonly [string, string, Readonly<Record<string, string>>])[] = [
  ['SOCKADDR_IN', 'struct sockaddr_in', { family: 'sin_family', port: 'sin_port', address: 'sin_addr' }],
  [
    'SOCKADDR_IN6',
    'struct sockaddr_in6',
    {
      family: 'sin6_family',
      port: 'sin6_port',
      flowInfo: 'sin6_flowinfo',
      address: 'sin6_addr',
      scopeId: 'sin6_scope_id',
    },
  ],
  ['SOCKADDR_UN', 'struct sockaddr_un', { family: 'sun_family', path: 'sun_path' }],
  ['LINGER', 'struct linger', { on: 'l_onoff', seconds: 'l_linger' }],
  ['IOVEC', 'struct iovec', { base: 'iov_base', length: 'iov_len' }],
  [
    'MSGHDR',
    'struct msghdr',
    {
      name: 'msg_name',
      nameLength: 'msg_namelen',
      iov: 'msg_iov',
      iovCount: 'msg_iovlen',
      control: 'msg_control',
      controlLength: 'msg_controllen',
      flags: 'msg_flags',
    },
  ],
  ['CMSGHDR', 'struct cmsghdr', { length: 'cmsg_len', level: 'cmsg_level', type: 'cmsg_type' }],
  ['SOCK_FILTER', 'struct sock_filter', { code: 'code', skipIfTrue: 'jt', skipIfFalse: 'jf', operand: 'k' }],
  ['SOCK_FPROG', 'struct sock_fprog', { length: 'len', filter: 'filter' }],
  ['NLMSGHDR', 'struct nlmsghdr', { length: 'nlmsg_len', type: 'nlmsg_type', flags: 'nlmsg_flags' }],
  [
    'INET_DIAG_REQUEST',
    'struct inet_diag_req_v2',
    {
      family: 'sdiag_family',
      protocol: 'sdiag_protocol',
      states: 'idiag_states',
      sourcePort: 'id.idiag_sport',
    },
  ],
];

const ours = new Map<string, number | Readonly<Record<string, number>>>(
  Object.entries({ ...layouts, ...ERRNO }),
);

function claim(expression: string, value: number | string): string {
  return `_Static_assert((unsigned long long)(${expression}) == ${value}ull, "${expression} is not ${value}");`;
}

function claimsOf([name, type, fields]: (typeof STRUCTURES)[number]): string[] {
  return Object.entries(ours.get(name)!).map(([field, offset]) => {
    if (field === 'size') return claim(`sizeof(${type})`, offset);
    if (field === 'pathSize') return claim(`sizeof(((${type} *)0)->sun_path)`, offset);
    if (field === 'data') return claim(`(size_t)CMSG_DATA((${type} *)0)`, offset);
    return claim(`offsetof(${type}, ${fields[field]})`, offset);
  });
}

/** What the packing of one structure is on x86-64 alone. */
const EPOLL = [
  '#ifdef __x86_64__',
  claim('sizeof(struct epoll_event)', 12),
  claim('offsetof(struct epoll_event, data)', 4),
  '#else',
  claim('sizeof(struct epoll_event)', 16),
  claim('offsetof(struct epoll_event, data)', 8),
  '#endif',
];

function program(): string {
  const numbers = [...ours].filter(([, value]) => typeof value === 'number');
  return [
    '#define _GNU_SOURCE',
    ...HEADERS.map((header) => `#include <${header}>`),
    ...Object.entries(FROM_KERNEL).map(
      ([name, value]) => `#ifndef ${name}\n#define ${name} ${value}\n#endif`,
    ),
    ...numbers.map(([name, value]) => claim(SUMS[name] ?? name, String(value))),
    claim('O_NONBLOCK | O_CLOEXEC', layouts.NONBLOCK_CLOEXEC),
    claim('EFD_NONBLOCK | EFD_CLOEXEC', layouts.NONBLOCK_CLOEXEC),
    ...STRUCTURES.flatMap(claimsOf),
    ...EPOLL,
    '',
  ].join('\n');
}

const text = program();
for (const compiler of process.argv.slice(2)) {
  const flags = ['-x', 'c', '-fsyntax-only', '-'];
  const { status, stderr } = spawnSync(compiler, flags, { input: text, encoding: 'utf8' });
  if (status !== 0) process.exitCode = 1;
  const count = text.match(/_Static_assert/g)!.length;
  process.stdout.write(status === 0 ? `${compiler}: ${count} numbers agree\n` : `${compiler}: ${stderr}`);
}
