/** The objects of an installation: the manifests that the program ships, with the values of the user in their places. */

import { installErrors } from './errors.ts';
import {
  isJsonObject,
  isManifest,
  type Json,
  type JsonObject,
  type Manifest,
  valueAt,
  withValueAt,
} from './manifest.ts';
import { readManifests } from './manifest-files.ts';
import { DEFAULT_NAMESPACE, imageTargets, SETTINGS, type Setting, type SettingTarget } from './settings.ts';
import { defaultValues, imageReference, mergeValues } from './values.ts';

export interface InstallOptions {
  /** Where the parts of the mesh run; {@link DEFAULT_NAMESPACE} unless given. */
  readonly namespace?: string;
  /** Settings by their names, nested as in a values file; see docs/install.md. */
  readonly values?: JsonObject;
  /** Without them the custom resource definitions stay as they are. */
  readonly crds?: boolean;
}

/**
 * What `kubectl apply -k daemonset/` applies, for other values.
 * @throws AMBIT_INSTALL_VALUE_INVALID, AMBIT_INSTALL_MANIFESTS_UNREADABLE
 */
export function renderManifests(options: InstallOptions = {}): Manifest[] {
  const base = readManifests('base');
  const values = mergeValues(defaultValues(base), options.values ?? {});
  const image = imageReference(values);
  let manifests = base.map((manifest) => putAll(manifest, imageTargets(), image));
  for (const setting of SETTINGS) {
    const value = valueAt(values, setting.name.split('.'));
    checkForm(setting, value);
    manifests = manifests.map((manifest) => applySetting(manifest, setting, value));
  }
  const namespace = options.namespace ?? DEFAULT_NAMESPACE;
  const crds = options.crds === false ? [] : readManifests('crds');
  return [...crds, ...manifests.map((manifest) => inNamespace(manifest, namespace))];
}

function checkForm({ name, form }: Setting, value: Json | undefined): void {
  const isTree = typeof value === 'object' && value !== null;
  const fits =
    form === 'scalar' ? !isTree : value === undefined || (form === 'tree' ? isTree : isJsonObject(value));
  if (!fits) {
    const wanted =
      { scalar: 'a text or a number', tree: 'an object or a list' }[form as string] ?? 'an object';
    throw installErrors.AMBIT_INSTALL_VALUE_INVALID(`the value ${name} is not ${wanted}`);
  }
}

function applySetting(manifest: Manifest, { form, targets }: Setting, value: Json | undefined): Manifest {
  switch (form) {
    case 'scalar':
      return changeAll(manifest, targets, (before) => asScalar(before, value));
    case 'tree':
      return putAll(manifest, targets, isEmpty(value) ? undefined : value);
    case 'entries':
      return changeAll(manifest, targets, (before) => ({ ...asObject(before), ...asObject(value) }));
    case 'environment':
      return changeAll(manifest, targets, (before) => withVariables(before, asObject(value)));
  }
}

/** `false` for a text means the text, as values of variables have to be texts. An empty one is left out where nothing stands. */
function asScalar(before: Json | undefined, value: Json | undefined): Json | undefined {
  const text = String(value ?? '');
  if (before === undefined && text === '') return undefined;
  return typeof before === 'number' && /^\d+$/.test(text) ? Number(text) : text;
}

function withVariables(before: Json | undefined, variables: JsonObject): Json {
  let list: Json = before ?? [];
  for (const [name, value] of Object.entries(variables)) {
    list = withValueAt(list, [{ name }], { name, value: String(value) });
  }
  return list;
}

function putAll(manifest: Manifest, targets: readonly SettingTarget[], value: Json | undefined): Manifest {
  return changeAll(manifest, targets, () => value);
}

function changeAll(
  manifest: Manifest,
  targets: readonly SettingTarget[],
  change: (before: Json | undefined) => Json | undefined,
): Manifest {
  let tree: Json = manifest;
  for (const { kind, object, path } of targets) {
    if (kind !== manifest.kind || object !== manifest.metadata.name) continue;
    const [before, parent] = [valueAt(tree, path), valueAt(tree, path.slice(0, -1))];
    const after = change(before);
    if (parent !== undefined || after !== undefined) tree = withValueAt(tree, path, after);
  }
  return isManifest(tree) ? tree : manifest;
}

/** The namespace stands in metadata, in bindings, in addresses and names of Services. */
function inNamespace(manifest: Manifest, namespace: string): Manifest {
  const renamed = rename(manifest, namespace);
  return isManifest(renamed) ? renamed : manifest;
}

function rename(tree: Json, namespace: string): Json {
  if (typeof tree === 'string') return tree.replaceAll(DEFAULT_NAMESPACE, namespace);
  if (Array.isArray(tree)) return tree.map((one: Json) => rename(one, namespace));
  if (!isJsonObject(tree)) return tree;
  return Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, rename(value, namespace)]));
}

function asObject(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

function isEmpty(value: Json | undefined): boolean {
  if (value === undefined || value === null) return true;
  return Array.isArray(value) ? value.length === 0 : isJsonObject(value) && Object.keys(value).length === 0;
}
