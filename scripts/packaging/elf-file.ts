/** Reads from an ELF file which shared libraries it needs, and takes its symbols away; 64-bit little-endian. */

const MAGIC = 0x7f454c46;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1;
const DT_STRTAB = 5;
const DYNAMIC_ENTRY = 16;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
}

/** What the dynamic loader will look for. */
export interface ElfNeeds {
  /** Path of the loader; absent for a library. */
  readonly interpreter: string | undefined;
  /** Names such as `libc.so.6`. */
  readonly libraries: readonly string[];
}

/**
 * The file without what only debuggers read. Loaders go by segments alone, so everything behind the last segment goes,
 * and the table of sections with it; what is exported for `dlsym` lies in a segment.
 */
export function withoutSymbols(file: Buffer): Buffer {
  const end = Math.max(...readSegments(file).map((segment) => segment.offset + segment.fileSize));
  const stripped = Buffer.from(file.subarray(0, end));
  stripped.writeBigUInt64LE(0n, 40);
  stripped.writeUInt16LE(0, 60);
  stripped.writeUInt16LE(0, 62);
  return stripped;
}

/** Undefined for a file that is not ELF, such as a script. Throws RangeError for one that is cut off. */
export function elfNeeds(file: Buffer): ElfNeeds | undefined {
  if (file.length < 64 || file.readUInt32BE(0) !== MAGIC) return undefined;
  if (file[4] !== CLASS_64 || file[5] !== LITTLE_ENDIAN) return undefined;
  const segments = readSegments(file);
  const interpreter = segments.find((segment) => segment.type === PT_INTERP);
  return {
    interpreter: interpreter === undefined ? undefined : textAt(file, interpreter.offset),
    libraries: neededLibraries(file, segments),
  };
}

function readSegments(file: Buffer): Segment[] {
  const start = offsetAt(file, 32);
  const [size, count] = [file.readUInt16LE(54), file.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * size;
    return {
      type: file.readUInt32LE(at),
      offset: offsetAt(file, at + 8),
      address: offsetAt(file, at + 16),
      fileSize: offsetAt(file, at + 32),
      memorySize: offsetAt(file, at + 40),
    };
  });
}

function neededLibraries(file: Buffer, segments: readonly Segment[]): string[] {
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC);
  if (dynamic === undefined) return [];
  const entries = Array.from({ length: Math.floor(dynamic.fileSize / DYNAMIC_ENTRY) }, (_, index) => {
    const at = dynamic.offset + index * DYNAMIC_ENTRY;
    return { tag: offsetAt(file, at), value: offsetAt(file, at + 8) };
  });
  const table = entries.find((entry) => entry.tag === DT_STRTAB);
  if (table === undefined) return [];
  const strings = fileOffset(segments, table.value);
  return entries
    .filter((entry) => entry.tag === DT_NEEDED)
    .map((entry) => textAt(file, strings + entry.value));
}

/** The string table is given by its address in memory. */
function fileOffset(segments: readonly Segment[], address: number): number {
  const holder = segments.find(
    (one) => one.type === PT_LOAD && address >= one.address && address < one.address + one.memorySize,
  );
  if (holder === undefined) throw new RangeError(`no segment holds address ${address}`);
  return holder.offset + address - holder.address;
}

function offsetAt(file: Buffer, at: number): number {
  return Number(file.readBigUInt64LE(at));
}

function textAt(file: Buffer, at: number): string {
  const end = file.indexOf(0, at);
  if (end < 0) throw new RangeError('a string does not end');
  return file.toString('utf8', at, end);
}
