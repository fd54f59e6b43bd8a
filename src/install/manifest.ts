/** Kubernetes objects as trees of JSON, and ways into them. */

export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** An object to be applied to a cluster. */
export interface Manifest extends JsonObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: JsonObject & { readonly name: string };
}

/** A key, or the element of a list that has this `name`. */
export type PathStep = string | { readonly name: string };
export type Path = readonly PathStep[];

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isManifest(value: Json | undefined): value is Manifest {
  return (
    isJsonObject(value) &&
    typeof value.apiVersion === 'string' &&
    typeof value.kind === 'string' &&
    isJsonObject(value.metadata) &&
    typeof value.metadata.name === 'string'
  );
}

/** Undefined when there is nothing at the path. */
export function valueAt(tree: Json | undefined, path: Path): Json | undefined {
  const [step, ...rest] = path;
  if (step === undefined || tree === undefined) return tree;
  return valueAt(childAt(tree, step), rest);
}

/** The tree with another value at the path; `undefined` takes the key away. Keys on the way are made. */
export function withValueAt(tree: Json | undefined, path: Path, value: Json | undefined): Json {
  const [step, ...rest] = path;
  if (step === undefined) return value ?? null;
  const child = rest.length === 0 ? value : withValueAt(childAt(tree, step), rest, value);
  return typeof step === 'string' ? withKey(tree, step, child) : withElement(tree, step.name, child);
}

function childAt(tree: Json | undefined, step: PathStep): Json | undefined {
  if (typeof step === 'string') return isJsonObject(tree) ? tree[step] : undefined;
  return elementsOf(tree).find((one) => nameOf(one) === step.name);
}

function withKey(tree: Json | undefined, key: string, value: Json | undefined): JsonObject {
  const { [key]: _, ...others } = isJsonObject(tree) ? tree : {};
  if (value === undefined) return others;
  return isJsonObject(tree) && key in tree ? { ...tree, [key]: value } : { ...others, [key]: value };
}

function withElement(tree: Json | undefined, name: string, value: Json | undefined): Json[] {
  const elements = elementsOf(tree);
  const index = elements.findIndex((one) => nameOf(one) === name);
  const replacement = value === undefined ? [] : [value];
  return index < 0 ? [...elements, ...replacement] : elements.toSpliced(index, 1, ...replacement);
}

function elementsOf(tree: Json | undefined): readonly Json[] {
  return Array.isArray(tree) ? tree : [];
}

function nameOf(element: Json): Json | undefined {
  return isJsonObject(element) ? element.name : undefined;
}
