/** Classic BPF, which needs no privilege: programs of a few instructions that the kernel runs for a socket. */

import * as k from './layouts.ts';
import { kernelResult, libc } from './libc.ts';
import { addressOf, NativeBuffer } from './native-buffer.ts';

/** Offset of the flags in a TCP header (RFC 9293 §3.1), which is where a filter of a TCP socket begins to read. */
const TCP_FLAGS = 13;
const TCP_SYN = 0x02;
const TCP_ACK = 0x10;
const WHOLE_PACKET = 0xffffffff;

/** How many instructions a jump leaves out, if what it asks for is so and if it is not. */
export interface Instruction {
  readonly code: number;
  readonly operand: number;
  readonly skipIfTrue?: number;
  readonly skipIfFalse?: number;
}

const IGNORE_NEW: readonly Instruction[] = [
  { code: k.BPF_LOAD_BYTE, operand: TCP_FLAGS },
  { code: k.BPF_AND_K, operand: TCP_SYN | TCP_ACK },
  { code: k.BPF_JUMP_IF_EQUAL_K, operand: TCP_SYN, skipIfFalse: 1 },
  { code: k.BPF_RET_K, operand: 0 },
  { code: k.BPF_RET_K, operand: WHOLE_PACKET },
];

/**
 * Lets a listener begin no handshake any more: whoever asks for one hears nothing, and asks again a second later (RFC
 * 6298 §2), when somebody else may listen. What has begun goes on. Returns 0 or a negated errno.
 */
export function ignoreNewHandshakes(fd: number): number {
  return attachProgram(fd, k.SO_ATTACH_FILTER, IGNORE_NEW);
}

/** @param option the one of SOL_SOCKET that says what the program is asked. Returns 0 or a negated errno. */
export function attachProgram(fd: number, option: number, instructions: readonly Instruction[]): number {
  const { SOCK_FILTER, SOCK_FPROG } = k;
  const filter = new NativeBuffer(SOCK_FILTER.size * instructions.length);
  for (const [i, { code, operand, skipIfTrue, skipIfFalse }] of instructions.entries()) {
    const at = i * SOCK_FILTER.size;
    filter.view.setUint16(at + SOCK_FILTER.code, code, true);
    filter.view.setUint8(at + SOCK_FILTER.skipIfTrue, skipIfTrue ?? 0);
    filter.view.setUint8(at + SOCK_FILTER.skipIfFalse, skipIfFalse ?? 0);
    filter.view.setUint32(at + SOCK_FILTER.operand, operand, true);
  }
  const program = new NativeBuffer(SOCK_FPROG.size);
  program.view.setUint16(SOCK_FPROG.length, instructions.length, true);
  program.view.setBigUint64(SOCK_FPROG.filter, addressOf(filter), true);
  return kernelResult(libc.setsockopt(fd, k.SOL_SOCKET, option, addressOf(program), program.size));
}
