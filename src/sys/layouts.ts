/** Layouts and constants of the kernel's interface, in one place (Linux, 64 bit, little endian). */

import { architecture } from './ffi.ts';

/** Address families, socket types and the flags that every descriptor of ours has from birth. */
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
/** SOCK_NONBLOCK, EFD_NONBLOCK and O_NONBLOCK are one number, and so are their CLOEXEC siblings. */
export const NONBLOCK_CLOEXEC = 0x800 | 0x80000;

export const SOL_SOCKET = 1;
export const SOL_IP = 0;
export const SOL_TCP = 6;
export const SOL_IPV6 = 41;

export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_KEEPALIVE = 9;
export const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const SO_MARK = 36;
export const SO_ATTACH_FILTER = 26;
export const SO_ATTACH_REUSEPORT_CBPF = 51;
export const SO_DETACH_REUSEPORT_BPF = 68;
export const TCP_NODELAY = 1;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_USER_TIMEOUT = 18;
export const IP_TRANSPARENT = 19;
export const IP_BIND_ADDRESS_NO_PORT = 24;
export const IP_LOCAL_PORT_RANGE = 51;
export const IPV6_V6ONLY = 26;
export const IPV6_TRANSPARENT = 75;
/** netfilter: the destination before REDIRECT or DNAT; the same number at SOL_IP and at SOL_IPV6. */
export const SO_ORIGINAL_DST = 80;

export const SHUT_WR = 1;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x40000000;
export const MSG_TRUNC = 0x20;
export const MSG_CTRUNC = 0x08;
export const SCM_RIGHTS = 1;

export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLLIN = 0x1;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
export const EPOLLET = 0x80000000;

export const SPLICE_F_MOVE = 1;
export const SPLICE_F_NONBLOCK = 2;
export const F_DUPFD_CLOEXEC = 1030;
export const F_SETPIPE_SZ = 1031;

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_PRIVATE = 0x2;
export const MAP_ANONYMOUS = 0x20;
export const MADV_DONTNEED = 4;

export const CLONE_NEWNET = 0x40000000;

/** sock_diag(7): a dump of TCP sockets by state and port. */
export const NETLINK_SOCK_DIAG = 4;
export const SOCK_DIAG_BY_FAMILY = 20;
/** NLM_F_REQUEST | NLM_F_DUMP */
export const NLM_F_REQUEST_DUMP = 0x301;
/** NLM_F_REQUEST | NLM_F_ACK */
export const NLM_F_REQUEST_ACK = 0x5;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
/** rtnetlink(7): a change of a network device. */
export const NETLINK_ROUTE = 0;
export const RTM_NEWLINK = 16;
export const IFLA_GSO_IPV4_MAX_SIZE = 63;
export const IPPROTO_TCP = 6;
export const TCP_LISTEN = 10;
/** BPF_RET | BPF_K: the program that always gives one number. */
export const BPF_RET_K = 0x06;
/** BPF_LD | BPF_B | BPF_ABS: a byte of the packet. */
export const BPF_LOAD_BYTE = 0x30;
/** BPF_ALU | BPF_AND | BPF_K */
export const BPF_AND_K = 0x54;
/** BPF_JMP | BPF_JEQ | BPF_K */
export const BPF_JUMP_IF_EQUAL_K = 0x15;

/** struct epoll_event {u32 events; u64 data} is packed on x86-64 only, in 32-bit words. */
export const EPOLL_EVENT =
  architecture === 'x64' ? { words: 3, dataWord: 1, size: 12 } : { words: 4, dataWord: 2, size: 16 };

/** struct sockaddr_in {u16 family; be16 port; u8 addr[4]; u8 zero[8]} */
export const SOCKADDR_IN = { family: 0, port: 2, address: 4, size: 16 } as const;
/** struct sockaddr_in6 {u16 family; be16 port; be32 flowinfo; u8 addr[16]; u32 scope_id} */
export const SOCKADDR_IN6 = { family: 0, port: 2, flowInfo: 4, address: 8, scopeId: 24, size: 28 } as const;
/** struct sockaddr_un {u16 family; char path[108]} */
export const SOCKADDR_UN = { family: 0, path: 2, pathSize: 108, size: 110 } as const;
/** struct linger {i32 onoff; i32 linger} */
export const LINGER = { on: 0, seconds: 4, size: 8 } as const;
/** struct iovec {void *base; size_t len} */
export const IOVEC = { base: 0, length: 8, size: 16 } as const;
/** struct msghdr {name; u32 namelen; iov; iovlen; control; controllen; i32 flags}, each field on 8 bytes. */
export const MSGHDR = {
  name: 0,
  nameLength: 8,
  iov: 16,
  iovCount: 24,
  control: 32,
  controlLength: 40,
  flags: 48,
  size: 56,
} as const;
/** struct cmsghdr {size_t len; i32 level; i32 type}, followed by the data; aligned to 8. */
export const CMSGHDR = { length: 0, level: 8, type: 12, data: 16 } as const;
/** struct sock_filter {u16 code; u8 jt; u8 jf; u32 k} */
export const SOCK_FILTER = { code: 0, skipIfTrue: 2, skipIfFalse: 3, operand: 4, size: 8 } as const;
/** struct sock_fprog {u16 len; struct sock_filter *filter} */
export const SOCK_FPROG = { length: 0, filter: 8, size: 16 } as const;
/** struct nlmsghdr {u32 len; u16 type; u16 flags; u32 seq; u32 pid} */
export const NLMSGHDR = { length: 0, type: 4, flags: 6, size: 16 } as const;
/** struct ifinfomsg {u8 family; u8 pad; u16 type; i32 index; u32 flags; u32 change} */
export const IFINFOMSG = { index: 4, size: 16 } as const;
/** struct rtattr {u16 len; u16 type}, then its value */
export const RTATTR = { length: 0, type: 2, size: 4 } as const;
/** struct inet_diag_req_v2 {u8 family; u8 protocol; u8 ext; u8 pad; u32 states; struct inet_diag_sockid id} */
export const INET_DIAG_REQUEST = { family: 0, protocol: 1, states: 4, sourcePort: 8, size: 56 } as const;
