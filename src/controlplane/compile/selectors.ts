/** Label selectors, and the keys by which they are found from the labels they may match. */

import type { RouteNamespaces } from '../../objects/gateway-types.ts';
import type { Labels } from './well-known-keys.ts';

/** Whether every pair of the selector is among the labels; an empty selector matches everything. */
export function selects(selector: Labels, labels: Labels): boolean {
  for (const key in selector) if (labels[key] !== selector[key]) return false;
  return true;
}

/** Where a selector is filed: under its first pair, or under its namespace alone when it is empty. */
export function selectorKey(namespace: string, selector: Labels): string {
  const first = Object.keys(selector).sort()[0];
  return first === undefined ? namespace : pairKey(namespace, first, selector[first]!);
}

/** Under which keys selectors that match these labels may be filed. */
export function labelKeys(namespace: string, labels: Labels): readonly string[] {
  return [namespace, ...Object.keys(labels).map((key) => pairKey(namespace, key, labels[key]!))];
}

function pairKey(namespace: string, key: string, value: string): string {
  return `${namespace}|${key}=${value}`;
}

/** Whether a Kubernetes selector with expressions matches. */
export function selectsByExpression(selector: RouteNamespaces['selector'], labels: Labels): boolean {
  if (!selects(selector?.matchLabels ?? {}, labels)) return false;
  return (selector?.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labels[key];
    if (operator === 'Exists') return value !== undefined;
    if (operator === 'DoesNotExist') return value === undefined;
    if (operator === 'In') return value !== undefined && values.includes(value);
    return value === undefined || !values.includes(value);
  });
}
