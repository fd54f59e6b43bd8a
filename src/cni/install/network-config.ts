/** Network configurations of CNI as values: which files a runtime accepts, and our entry in them. */

import { PLUGIN_TYPE } from '../plugin/plugin-config.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** A configuration with a list of plugins; what we do not know of it stays as it is. */
export interface NetworkList extends JsonObject {
  readonly plugins: readonly JsonObject[];
}

/** What runtimes look at, in the order of libcni. */
export const CONFIG_EXTENSIONS = ['.conf', '.conflist', '.json'] as const;

/** Undefined for a text that libcni would not accept as a list (`.conflist`). */
export function parseList(text: string): NetworkList | undefined {
  const value = parseObject(text);
  if (value === undefined || typeof value.name !== 'string' || value.name === '') return undefined;
  const { plugins } = value;
  if (!Array.isArray(plugins) || plugins.length === 0 || !plugins.every(isPlugin)) return undefined;
  return { ...value, plugins };
}

/**
 * Turns a configuration of a single plugin (`.conf`, `.json`) into a list of one, as runtimes do.
 * Undefined for a text that libcni would not accept as such.
 * @param fallbackName of the network, when the configuration has none
 */
export function parseSingle(text: string, fallbackName: string): NetworkList | undefined {
  const plugin = parseObject(text);
  if (plugin === undefined || !isPlugin(plugin)) return undefined;
  const { cniVersion, name } = plugin;
  return {
    ...(cniVersion !== undefined && { cniVersion }),
    name: typeof name === 'string' && name !== '' ? name : fallbackName,
    plugins: [plugin],
  };
}

/** With our entry: where an older one was, else as the last, so that others may stand behind it. */
export function withEntry(list: NetworkList, entry: JsonObject): NetworkList {
  const place = list.plugins.findIndex(isOurs);
  const others = list.plugins.filter((plugin) => !isOurs(plugin));
  const at = place < 1 ? others.length : Math.min(place, others.length);
  return { ...list, plugins: [...others.slice(0, at), entry, ...others.slice(at)] };
}

export function withoutEntry(list: NetworkList): NetworkList {
  return { ...list, plugins: list.plugins.filter((plugin) => !isOurs(plugin)) };
}

export function hasEntry(list: NetworkList): boolean {
  return list.plugins.some(isOurs);
}

export function formatList(list: JsonObject): string {
  return `${JSON.stringify(list, null, 2)}\n`;
}

function isOurs(plugin: JsonObject): boolean {
  return plugin.type === PLUGIN_TYPE;
}

function isPlugin(value: unknown): value is JsonObject {
  return isObject(value) && typeof value.type === 'string' && value.type !== '';
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
