/** The values of an installation: defaults as the manifests have them, with what a user sets put over them. */

import { installErrors } from './errors.ts';
import { isJsonObject, type Json, type JsonObject, type Manifest, valueAt, withValueAt } from './manifest.ts';
import { IMAGE_SETTINGS, imageTargets, SETTINGS, type SettingTarget } from './settings.ts';

/** Every setting with the value that the manifests have. */
export function defaultValues(manifests: readonly Manifest[]): JsonObject {
  const image = String(targetValue(manifests, imageTargets()[0]!));
  let values: Json = {};
  for (const { name, fallback } of IMAGE_SETTINGS) {
    values = withValueAt(values, name.split('.'), fallback ?? image.slice(image.lastIndexOf(':') + 1));
  }
  for (const { name, targets, fallback, form } of SETTINGS) {
    const present = form === 'tree' || form === 'scalar' ? targetValue(manifests, targets[0]!) : undefined;
    values = withValueAt(values, name.split('.'), present ?? fallback ?? '');
  }
  return isJsonObject(values) ? values : {};
}

/**
 * What the user gives over the defaults, as Helm does it: objects are merged, anything else replaces, null takes away.
 * @throws AMBIT_INSTALL_VALUE_INVALID for a setting that does not exist
 */
export function mergeValues(defaults: JsonObject, given: JsonObject): JsonObject {
  for (const name of leavesOf(given, defaults)) {
    if (!isSetting(name)) throw installErrors.AMBIT_INSTALL_VALUE_INVALID(`there is no value ${name}`);
  }
  return merge(defaults, given);
}

/** The reference that pods name. */
export function imageReference(values: JsonObject): string {
  const [hub, image, tag] = ['hub', 'image', 'tag'].map((name) => String(values[name] ?? ''));
  const isWhole = /[@:]/.test(image!.slice(image!.lastIndexOf('/') + 1));
  const name = hub === '' ? image! : `${hub!.replace(/\/$/, '')}/${image}`;
  return isWhole ? name : `${name}:${tag}`;
}

export function targetValue(manifests: readonly Manifest[], target: SettingTarget): Json | undefined {
  const holder = manifests.find((one) => one.kind === target.kind && one.metadata.name === target.object);
  return valueAt(holder, target.path);
}

/** Names as far down as the defaults are groups of settings: what lies below a setting is its own. */
function leavesOf(given: JsonObject, known: Json | undefined, prefix = ''): string[] {
  return Object.entries(given).flatMap(([key, value]) => {
    const name = `${prefix}${key}`;
    const below = isJsonObject(known) ? known[key] : undefined;
    return isSetting(name) || !isJsonObject(value) || !isJsonObject(below)
      ? [name]
      : leavesOf(value, below, `${name}.`);
  });
}

function isSetting(name: string): boolean {
  return [...SETTINGS, ...IMAGE_SETTINGS].some((setting) => setting.name === name);
}

function merge(base: JsonObject, over: JsonObject): JsonObject {
  const merged: Record<string, Json> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    if (value === null) delete merged[key];
    else merged[key] = isJsonObject(before) && isJsonObject(value) ? merge(before, value) : value;
  }
  return merged;
}
