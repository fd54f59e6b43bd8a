/** The settings of an installation as flags: files, single values, and short forms of the common ones. */

import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { messageOf } from '../../base/errors.ts';
import { isJsonObject, type Json, type JsonObject, withValueAt } from '../../install/manifest.ts';
import { errors } from '../errors.ts';

export interface ValueFlags {
  /** Files, the later ones over the earlier ones. */
  readonly values?: readonly string[];
  /** `name=value`, over the files. */
  readonly set?: readonly string[];
  readonly image?: string;
  readonly replicas?: number;
  readonly trustDomain?: string;
  readonly rootNamespace?: string;
}

/**
 * What the flags say over what was there before.
 * @throws AmbitError AMBIT_CLI_USAGE for a file or an assignment that is none
 */
export function readValues(flags: ValueFlags, before: JsonObject = {}): JsonObject {
  const { image, replicas, trustDomain, rootNamespace } = flags;
  let values: Json = before;
  for (const path of flags.values ?? []) values = merge(values, readFile(path));
  const named: readonly (readonly [string, Json | undefined])[] = [
    ['image', image],
    ['controlplane.replicas', replicas],
    ['meshConfig.trustDomain', trustDomain],
    ['meshConfig.rootNamespace', rootNamespace],
    ...(flags.set ?? []).map(parseAssignment),
  ];
  for (const [name, value] of named) {
    if (value !== undefined) values = withValueAt(values, name.split('.'), value);
  }
  return isJsonObject(values) ? values : {};
}

function readFile(path: string): JsonObject {
  try {
    const content: Json = parse(readFileSync(path, 'utf8')) ?? {};
    if (isJsonObject(content)) return content;
  } catch (thrown) {
    throw errors.AMBIT_CLI_USAGE(`${path} cannot be read: ${messageOf(thrown)}`, thrown);
  }
  throw errors.AMBIT_CLI_USAGE(`${path} holds no values`);
}

/** A value is read as YAML, so that numbers and lists can be given. */
function parseAssignment(text: string): readonly [string, Json] {
  const [, name, value] = /^([\w.-]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw errors.AMBIT_CLI_USAGE(`--set ${text} is not of the form name=value`);
  }
  return [name, parse(value) ?? ''];
}

function merge(base: Json, over: JsonObject): JsonObject {
  const merged: Record<string, Json> = isJsonObject(base) ? { ...base } : {};
  for (const [key, value] of Object.entries(over)) {
    merged[key] = isJsonObject(value) ? merge(merged[key] ?? {}, value) : value;
  }
  return merged;
}
