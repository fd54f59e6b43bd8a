/**
 * Makes the executable that a container runtime calls: a static ELF file of 1.25 KiB that goes to the folder beside
 * itself and starts Node there, with the dynamic loader and libraries of that folder. It needs nothing of the node but
 * a kernel and /proc, so that it runs on hosts without glibc, libstdc++ or a shell.
 */

/** What the launcher starts: file names within the folder. */
export interface LaunchPlan {
  /** Beside the launcher. */
  readonly folder: string;
  readonly loader: string;
  /** Arguments of the loader, the program first. */
  readonly argv: readonly string[];
}

export type LauncherArchitecture = 'x64' | 'arm64';

/** Addresses are those of the file, moved by this: the whole file is one read-only, executable segment. */
const BASE = 0x400000;
const CODE_AT = 0x100;
/** The code refers to these places, so they are as fixed as the code. */
const SELF_AT = 0x200;
const FOLDER_AT = 0x210;
const LOADER_AT = 0x280;
const ARGV_AT = 0x2c0;
const STRINGS_AT = 0x300;
const MESSAGE_AT = 0x400;
const FILE_SIZE = 0x500;
const POINTER = 8;

/** Printed when the folder is not as it should be; the code writes all 256 bytes. */
const MESSAGE = JSON.stringify({
  cniVersion: '1.0.0',
  code: 11,
  msg: 'the files of the CNI plugin ambit-cni are incomplete: the node agent of Ambit repairs them when it runs',
});

interface Machine {
  /** `e_machine` of the ELF header. */
  readonly number: number;
  /** Hexadecimal. */
  readonly code: string;
}

/*
 * Both do the same, in system calls alone:
 *
 *   length = readlink("/proc/self/exe", buffer on the stack, 4095)
 *   cut the text behind its last slash
 *   chdir(buffer); chdir(FOLDER)
 *   execve(LOADER, ARGV, the environment behind argc and argv on the stack)
 *   on any failure: write(1, MESSAGE, 256); exit(1)
 */
const MACHINES: Readonly<Record<LauncherArchitecture, Machine>> = {
  x64: {
    number: 62,
    code: [
      '4889e3', //             mov  rbx, rsp            ; argc, argv, environment
      '4881ec00100000', //     sub  rsp, 4096
      'bf00024000', //         mov  edi, SELF
      '4889e6', //             mov  rsi, rsp
      'baff0f0000', //         mov  edx, 4095
      'b8590000000f05', //     mov  eax, 89 ; syscall    ; readlink
      '85c07846', //           test eax, eax ; js fail
      'ffc87842', //     find: dec  eax ; js fail
      '803c042f75f6', //       cmp  byte [rsp+rax], '/' ; jne find
      'c644040100', //         mov  byte [rsp+rax+1], 0
      '4889e7', //             mov  rdi, rsp
      'b8500000000f05', //     mov  eax, 80 ; syscall    ; chdir
      '85c07529', //           test eax, eax ; jnz fail
      'bf10024000', //         mov  edi, FOLDER
      'b8500000000f05', //     mov  eax, 80 ; syscall    ; chdir
      '85c07519', //           test eax, eax ; jnz fail
      '488b03', //             mov  rax, [rbx]
      '488d54c310', //         lea  rdx, [rbx+rax*8+16]
      'bf80024000', //         mov  edi, LOADER
      'bec0024000', //         mov  esi, ARGV
      'b83b0000000f05', //     mov  eax, 59 ; syscall    ; execve
      'bf01000000', //   fail: mov  edi, 1
      'be00044000', //         mov  esi, MESSAGE
      'ba00010000', //         mov  edx, 256
      'b8010000000f05', //     mov  eax, 1 ; syscall     ; write
      'bf01000000', //         mov  edi, 1
      'b83c0000000f05', //     mov  eax, 60 ; syscall    ; exit
    ].join(''),
  },
  arm64: {
    number: 183,
    code: littleEndian([
      '910003f3', //       mov  x19, sp             ; argc, argv, environment
      'd14007ff', //       sub  sp, sp, #4096
      '12800c60', //       mov  w0, #-100           ; AT_FDCWD
      'd2804001', //       mov  x1, #0x200
      'f2a00801', //       movk x1, #0x40, lsl #16  ; SELF
      '910003e2', //       mov  x2, sp
      '5281ffe3', //       mov  w3, #4095
      '528009c8', //       mov  w8, #78             ; readlinkat
      'd4000001', //       svc  #0
      'f1000400', // find: subs x0, x0, #1
      '5400030b', //       b.lt fail
      '38606841', //       ldrb w1, [x2, x0]
      '7100bc3f', //       cmp  w1, #'/'
      '54ffff81', //       b.ne find
      '91000400', //       add  x0, x0, #1
      '3820685f', //       strb wzr, [x2, x0]
      '910003e0', //       mov  x0, sp
      '52800628', //       mov  w8, #49             ; chdir
      'd4000001', //       svc  #0
      'b50001e0', //       cbnz x0, fail
      'd2804200', //       mov  x0, #0x210
      'f2a00800', //       movk x0, #0x40, lsl #16  ; FOLDER
      '52800628', //       mov  w8, #49             ; chdir
      'd4000001', //       svc  #0
      'b5000140', //       cbnz x0, fail
      'f9400262', //       ldr  x2, [x19]
      '8b020e62', //       add  x2, x19, x2, lsl #3
      '91004042', //       add  x2, x2, #16         ; environment
      'd2805000', //       mov  x0, #0x280
      'f2a00800', //       movk x0, #0x40, lsl #16  ; LOADER
      'd2805801', //       mov  x1, #0x2c0
      'f2a00801', //       movk x1, #0x40, lsl #16  ; ARGV
      '52801ba8', //       mov  w8, #221            ; execve
      'd4000001', //       svc  #0
      '52800020', // fail: mov  w0, #1
      'd2808001', //       mov  x1, #0x400
      'f2a00801', //       movk x1, #0x40, lsl #16  ; MESSAGE
      '52802002', //       mov  w2, #256
      '52800808', //       mov  w8, #64             ; write
      'd4000001', //       svc  #0
      '52800020', //       mov  w0, #1
      '52800ba8', //       mov  w8, #93             ; exit
      'd4000001', //       svc  #0
    ]),
  },
};

/** @throws RangeError when a text does not fit into its place */
export function makeLauncher(architecture: LauncherArchitecture, plan: LaunchPlan): Buffer {
  const { number, code } = MACHINES[architecture];
  const file = Buffer.alloc(FILE_SIZE);
  writeHeaders(file, number);
  file.write(code, CODE_AT, 'hex');
  putText(file, '/proc/self/exe', SELF_AT, FOLDER_AT);
  putText(file, plan.folder, FOLDER_AT, LOADER_AT);
  putText(file, plan.loader, LOADER_AT, ARGV_AT);
  let at = STRINGS_AT;
  for (const [index, argument] of plan.argv.entries()) {
    const pointer = ARGV_AT + index * POINTER;
    if (pointer + 2 * POINTER > STRINGS_AT) throw new RangeError('too many arguments for a launcher');
    file.writeBigUInt64LE(BigInt(BASE + at), pointer);
    at = putText(file, argument, at, MESSAGE_AT);
  }
  file.write(MESSAGE.padEnd(FILE_SIZE - MESSAGE_AT - 1).concat('\n'), MESSAGE_AT);
  return file;
}

/** @returns the place behind the text and the zero that ends it */
function putText(file: Buffer, text: string, at: number, end: number): number {
  const next = at + Buffer.byteLength(text) + 1;
  if (next > end) throw new RangeError(`${text} is too long for a launcher`);
  file.write(text, at);
  return next;
}

/** ELF, 64 bits, little-endian, an executable with one segment; System V ABI, chapter 4 and 5. */
function writeHeaders(file: Buffer, machine: number): void {
  file.write('7f454c46020101', 0, 'hex');
  file.writeUInt16LE(2, 16); // ET_EXEC
  file.writeUInt16LE(machine, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(BASE + CODE_AT), 24); // entry point
  file.writeBigUInt64LE(64n, 32); // program headers
  file.writeUInt16LE(64, 52); // size of this header
  file.writeUInt16LE(56, 54); // size of a program header
  file.writeUInt16LE(1, 56);
  file.writeUInt32LE(1, 64); // PT_LOAD
  file.writeUInt32LE(5, 68); // readable and executable
  file.writeBigUInt64LE(BigInt(BASE), 80);
  file.writeBigUInt64LE(BigInt(BASE), 88);
  file.writeBigUInt64LE(BigInt(FILE_SIZE), 96);
  file.writeBigUInt64LE(BigInt(FILE_SIZE), 104);
  file.writeBigUInt64LE(0x10000n, 112); // alignment: arm64 may have pages of 64 KiB
}

function littleEndian(words: readonly string[]): string {
  return words.map((word) => Buffer.from(word, 'hex').reverse().toString('hex')).join('');
}
