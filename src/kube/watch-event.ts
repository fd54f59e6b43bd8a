/** One line of a watch, read and judged. */

import { messageOf } from '../base/errors.ts';
import { kubeErrors } from './errors.ts';
import { type FailureStatus, parseFailure } from './kube-request-error.ts';

/** An object as it came; only the metadata that every object has is known. */
export interface RawObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
  };
}

export type WatchEvent =
  | { readonly kind: 'upsert' | 'delete'; readonly object: RawObject }
  | { readonly kind: 'bookmark'; readonly resourceVersion: string }
  | { readonly kind: 'failure'; readonly failure: FailureStatus };

interface Envelope {
  readonly type?: unknown;
  readonly object?: unknown;
}

/** @throws AMBIT_KUBE_RESPONSE_INVALID when the line is not an event */
export function parseWatchEvent(line: string): WatchEvent {
  const { type, object } = parseEnvelope(line);
  if (type === 'ERROR') return { kind: 'failure', failure: parseFailure(200, JSON.stringify(object ?? {})) };
  if (type === 'BOOKMARK') return { kind: 'bookmark', resourceVersion: versionOf(object) };
  if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED')
    throw invalid(`type ${JSON.stringify(type)}`);
  if (!isRawObject(object)) throw invalid('an object without a name');
  return { kind: type === 'DELETED' ? 'delete' : 'upsert', object };
}

export function isRawObject(value: unknown): value is RawObject {
  const metadata = metadataOf(value);
  return typeof metadata?.name === 'string' && metadata.name !== '' && isTextOrAbsent(metadata.namespace);
}

/** `namespace/name`, or the name of what is cluster-scoped. */
export function keyOf({ metadata }: RawObject): string {
  const { namespace = '', name } = metadata;
  return namespace === '' ? name : `${namespace}/${name}`;
}

/** Empty when there is none. */
export function versionOf(object: unknown): string {
  const version = metadataOf(object)?.resourceVersion;
  return typeof version === 'string' ? version : '';
}

/**
 * Whether a version is at most another one. Versions of one kind of object are decimal numbers that grow;
 * of others nothing is known, and false is the answer.
 */
export function isNotNewer(version: string, than: string): boolean {
  if (!/^[1-9]\d*$/.test(version) || !/^[1-9]\d*$/.test(than)) return false;
  return version.length === than.length ? version <= than : version.length < than.length;
}

function parseEnvelope(line: string): Envelope {
  try {
    const value: Envelope | null = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value;
  } catch (thrown) {
    throw invalid(messageOf(thrown));
  }
  throw invalid('no object');
}

interface RawMetadata {
  readonly name?: unknown;
  readonly namespace?: unknown;
  readonly resourceVersion?: unknown;
}

function metadataOf(value: unknown): RawMetadata | undefined {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return undefined;
  return typeof value.metadata === 'object' && value.metadata !== null ? value.metadata : undefined;
}

function isTextOrAbsent(value: unknown): boolean {
  return value === undefined || typeof value === 'string';
}

function invalid(what: string): Error {
  return kubeErrors.AMBIT_KUBE_RESPONSE_INVALID(`a line of a watch is not an event: ${what}`);
}
