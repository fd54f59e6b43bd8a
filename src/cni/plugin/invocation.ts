/** What a container runtime asks of a CNI plugin: environment variables and a configuration on standard input. */

import { CNI_CODES, CniError } from './cni-error.ts';

const COMMANDS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const;
export type CniCommand = (typeof COMMANDS)[number];

/** Versions of the specification whose results a chained plugin can pass on as they are. */
export const SUPPORTED_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

/** What the specification demands of the environment for each command. */
const REQUIRED: Readonly<Record<CniCommand, readonly string[]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  GC: [],
  STATUS: [],
  VERSION: [],
};
/** CNI 1.1.0, section "Parameters". */
const CONTAINER_ID = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

export type Environment = Readonly<Record<string, string | undefined>>;
export type JsonObject = Readonly<Record<string, unknown>>;

export interface Invocation {
  readonly command: CniCommand;
  readonly cniVersion: string;
  /** Of the sandbox; '' when the runtime does not know it any more. */
  readonly netns: string;
  /** `CNI_ARGS`: kubelet's runtimes name the pod here. */
  readonly args: ReadonlyMap<string, string>;
  readonly config: JsonObject;
}

/** @throws CniError when the runtime does not keep to the specification */
export function readInvocation(environment: Environment, input: string): Invocation {
  const command = commandOf(environment);
  const config = parseConfig(input);
  const cniVersion = versionOf(config, command);
  for (const name of REQUIRED[command]) {
    if (!environment[name]) throw invalidEnvironment(`${command} needs ${name}`);
  }
  const { CNI_CONTAINERID: id = '', CNI_NETNS: netns = '', CNI_ARGS: args = '' } = environment;
  if (REQUIRED[command].length > 0 && !CONTAINER_ID.test(id)) {
    throw invalidEnvironment('CNI_CONTAINERID is not the name of a container');
  }
  return { command, cniVersion, netns, args: parseArgs(args), config };
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function commandOf(environment: Environment): CniCommand {
  const command = COMMANDS.find((one) => one === environment.CNI_COMMAND);
  if (command !== undefined) return command;
  throw invalidEnvironment(`CNI_COMMAND is not one of ${COMMANDS.join(', ')}`);
}

function parseConfig(input: string): JsonObject {
  let config: unknown;
  try {
    config = JSON.parse(input);
  } catch {
    throw new CniError(CNI_CODES.decodeFailed, 'the network configuration is not JSON');
  }
  if (isJsonObject(config)) return config;
  throw new CniError(CNI_CODES.decodeFailed, 'the network configuration is not an object');
}

/** A plugin of a list gets the version of the list; without one the specification says 0.1.0. */
function versionOf(config: JsonObject, command: CniCommand): string {
  const version = config.cniVersion ?? '0.1.0';
  if (typeof version !== 'string') {
    throw new CniError(CNI_CODES.decodeFailed, 'cniVersion is not a text');
  }
  const isSupported = SUPPORTED_VERSIONS.some((one) => one === version);
  if (isSupported || command === 'VERSION' || command === 'DEL') return version;
  throw new CniError(
    CNI_CODES.incompatibleVersion,
    `CNI version ${version} is not supported`,
    `supported: ${SUPPORTED_VERSIONS.join(', ')}`,
  );
}

function parseArgs(text: string): Map<string, string> {
  const pairs = text.split(';').filter((pair) => pair.includes('='));
  return new Map(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}

function invalidEnvironment(message: string): CniError {
  return new CniError(CNI_CODES.invalidEnvironment, message);
}
