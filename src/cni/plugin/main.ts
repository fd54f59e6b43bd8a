/** `ambit-cni`, the chained CNI plugin: one run for each sandbox that is made or taken away. */

import { readFileSync, writeSync } from 'node:fs';
import { messageOf } from '../../base/errors.ts';
import { CNI_CODES, CniError } from './cni-error.ts';
import { isJsonObject, readInvocation, SUPPORTED_VERSIONS } from './invocation.ts';
import { runPlugin } from './run-plugin.ts';

const STANDARD_INPUT = 0;
const STANDARD_OUTPUT = 1;

/** @returns the exit code */
async function main(): Promise<number> {
  const input = readFileSync(STANDARD_INPUT, 'utf8');
  try {
    const result = await runPlugin(readInvocation(process.env, input));
    if (result !== undefined) print(result);
    return 0;
  } catch (thrown) {
    const { code, details } =
      thrown instanceof CniError ? thrown : { code: CNI_CODES.unexpected, details: '' };
    print({ cniVersion: versionIn(input), code, msg: messageOf(thrown), details });
    return 1;
  }
}

/** An error is told in the version that was asked for, if that can be read. */
function versionIn(input: string): string {
  try {
    const config: unknown = JSON.parse(input);
    if (isJsonObject(config) && typeof config.cniVersion === 'string') return config.cniVersion;
  } catch {
    // It is told below.
  }
  return SUPPORTED_VERSIONS.at(-1)!;
}

/** Whole, whatever the pipe takes at a time. */
function print(value: object): void {
  const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
  for (let offset = 0; offset < bytes.length; ) offset += writeSync(STANDARD_OUTPUT, bytes, offset);
}

process.exit(await main());
