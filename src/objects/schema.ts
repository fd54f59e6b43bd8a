/** A small vocabulary for saying what a manifest must look like, with faults that name the exact field. */

import { parseIp } from '../base/ip.ts';

export type FieldPath = readonly (string | number)[];

export interface Fault {
  /** The field that is wrong; the object that lacks it when a field is missing. */
  readonly path: FieldPath;
  readonly message: string;
  /** A warning leaves the object usable. */
  readonly severity: 'error' | 'warning';
}

/** Says what is expected of one value, and finds what is wrong with it. */
export interface Schema {
  /** As it reads after "must be": `a string`, `a list of strings`. */
  readonly singular: string;
  readonly plural: string;
  check(value: unknown, path: FieldPath, report: (fault: Fault) => void): void;
}

type Test = (value: unknown) => boolean;

/** A value without parts, which either passes the test or not. */
export function scalar(singular: string, plural: string, test: Test): Schema {
  return {
    singular,
    plural,
    check(value, path, report) {
      if (!test(value)) report({ path, message: `must be ${singular}`, severity: 'error' });
    },
  };
}

export const string = scalar('a string', 'strings', (value) => typeof value === 'string');
export const nonEmptyString = scalar(
  'a string that is not empty',
  'strings that are not empty',
  (value) => typeof value === 'string' && value !== '',
);
export const boolean = scalar('true or false', 'booleans', (value) => typeof value === 'boolean');
export const ipAddress = scalar(
  'an IP address',
  'IP addresses',
  (value) => typeof value === 'string' && parseIp(value) !== undefined,
);
/** Whatever a kind holds that the mesh does not look at. */
export const anything: Schema = { singular: 'anything', plural: 'anything', check() {} };

export function integer(min: number, max: number): Schema {
  return scalar(
    `a whole number from ${min} to ${max}`,
    `whole numbers from ${min} to ${max}`,
    (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
  );
}

export const port = integer(1, 65535);
/** A port by number, or by the name that a container gives it. */
export const portOrName = scalar(
  'a port number or a port name',
  'port numbers or port names',
  (value) =>
    (typeof value === 'string' && value !== '') ||
    (Number.isInteger(value) && (value as number) > 0 && (value as number) <= 65535),
);

export function oneOf(...values: readonly string[]): Schema {
  const choice = `one of ${values.join(', ')}`;
  return scalar(choice, choice, (value) => values.includes(value as string));
}

export function text(singular: string, pattern: RegExp): Schema {
  return scalar(singular, `${singular} each`, (value) => typeof value === 'string' && pattern.test(value));
}

export function listOf(entry: Schema): Schema {
  const singular = entry === anything ? 'a list' : `a list of ${entry.plural}`;
  return {
    singular,
    plural: 'lists',
    check(value, path, report) {
      if (!Array.isArray(value)) return report({ path, message: `must be ${singular}`, severity: 'error' });
      value.forEach((one, at) => {
        entry.check(one, [...path, at], report);
      });
    },
  };
}

/** Any keys, all values alike. */
export function mapOf(entry: Schema): Schema {
  const singular = `an object whose values are ${entry.plural}`;
  return {
    singular,
    plural: 'objects',
    check(value, path, report) {
      if (!isRecord(value)) return report({ path, message: `must be ${singular}`, severity: 'error' });
      for (const [key, one] of Object.entries(value)) entry.check(one, [...path, key], report);
    },
  };
}

export interface ObjectRules {
  readonly required?: readonly string[];
  /**
   * `ours`: an unknown field is a warning, an empty one (null) an error, as with the schema of a custom resource.
   * `core`: unknown fields are somebody else's business, and null is the same as absent, as in Kubernetes itself.
   */
  readonly strictness: 'ours' | 'core';
}

export function objectWith(fields: Readonly<Record<string, Schema>>, rules: ObjectRules): Schema {
  return {
    singular: 'an object',
    plural: 'objects',
    check(value, path, report) {
      if (!isRecord(value)) return report({ path, message: 'must be an object', severity: 'error' });
      for (const name of rules.required ?? []) {
        if (isAbsent(value[name], rules)) {
          report({ path, message: `must have the field ${name}`, severity: 'error' });
        }
      }
      for (const [name, one] of Object.entries(value)) {
        if (isAbsent(one, rules)) continue;
        const schema = Object.hasOwn(fields, name) ? fields[name] : undefined;
        if (schema !== undefined) schema.check(one, [...path, name], report);
        else if (rules.strictness === 'ours') {
          report({ path: [...path, name], message: 'is not a field of this kind', severity: 'warning' });
        }
      }
    },
  };
}

/** The fields of one of our kinds: unknown ones are reported. */
export function ours(fields: Readonly<Record<string, Schema>>, ...required: readonly string[]): Schema {
  return objectWith(fields, { strictness: 'ours', required });
}

/** The fields of a core kind that the mesh reads, among others that it does not. */
export function core(fields: Readonly<Record<string, Schema>>, ...required: readonly string[]): Schema {
  return objectWith(fields, { strictness: 'core', required });
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `spec.rules[0].from[0].source.principals`; a key that is not a plain word is quoted. */
export function formatPath(path: FieldPath): string {
  let formatted = '';
  for (const step of path) {
    if (typeof step === 'number') formatted += `[${step}]`;
    else if (!/^[A-Za-z_][\w-]*$/.test(step)) formatted += `[${JSON.stringify(step)}]`;
    else formatted += formatted === '' ? step : `.${step}`;
  }
  return formatted;
}

function isAbsent(value: unknown, rules: ObjectRules): boolean {
  return value === undefined || (value === null && rules.strictness === 'core');
}
