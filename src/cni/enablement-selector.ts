/** Which labels on pods and namespaces put a pod into the mesh: Istio's default, or the cluster's own. */

import { cniErrors } from './errors.ts';

type Labels = Readonly<Record<string, string>>;

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;

export interface LabelRequirement {
  readonly key: string;
  readonly operator: (typeof OPERATORS)[number];
  readonly values?: readonly string[];
}

/** A Kubernetes label selector; one without any requirement matches everything. */
export interface LabelSelector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly LabelRequirement[];
}

/** A pod is selected when it matches the one and its namespace matches the other; an absent one matches. */
export interface EnablementSelector {
  readonly podSelector?: LabelSelector;
  readonly namespaceSelector?: LabelSelector;
}

export const DATAPLANE_MODE_LABEL = 'istio.io/dataplane-mode';

export const DEFAULT_ENABLEMENT_SELECTORS: readonly EnablementSelector[] = [
  { podSelector: { matchLabels: { [DATAPLANE_MODE_LABEL]: 'ambient' } } },
  {
    podSelector: { matchExpressions: [{ key: DATAPLANE_MODE_LABEL, operator: 'NotIn', values: ['none'] }] },
    namespaceSelector: { matchLabels: { [DATAPLANE_MODE_LABEL]: 'ambient' } },
  },
];

export function matchesSelector(selector: LabelSelector | undefined, labels: Labels): boolean {
  return (
    Object.entries(selector?.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (selector?.matchExpressions ?? []).every((one) => meetsRequirement(one, labels))
  );
}

/** As in Kubernetes, NotIn also holds for an object without the label. */
function meetsRequirement(requirement: LabelRequirement, labels: Labels): boolean {
  const value = labels[requirement.key];
  const isListed = value !== undefined && (requirement.values ?? []).includes(value);
  switch (requirement.operator) {
    case 'In':
      return isListed;
    case 'NotIn':
      return !isListed;
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

/** Parses the JSON list that Istio's chart writes. @throws AMBIT_CNI_CONFIG_INVALID */
export function parseEnablementSelectors(text: string): EnablementSelector[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (thrown) {
    throw cniErrors.AMBIT_CNI_CONFIG_INVALID('enablement selectors are not JSON', thrown);
  }
  if (!Array.isArray(list) || !list.every(isEnablementSelector)) {
    throw cniErrors.AMBIT_CNI_CONFIG_INVALID(
      'enablement selectors are not a list of {podSelector, namespaceSelector} with label selectors',
    );
  }
  return list;
}

function isEnablementSelector(value: unknown): value is EnablementSelector {
  return (
    isRecordOf(value, isLabelSelector) &&
    Object.keys(value).every((key) => key === 'podSelector' || key === 'namespaceSelector')
  );
}

/** An unknown key would silently select more than was meant. */
function isLabelSelector(value: unknown): value is LabelSelector {
  if (!isRecordOf(value, isAnything)) return false;
  const { matchLabels = {}, matchExpressions = [], ...rest } = value;
  return (
    isRecordOf(matchLabels, isText) &&
    Array.isArray(matchExpressions) &&
    matchExpressions.every(isLabelRequirement) &&
    Object.keys(rest).length === 0
  );
}

export function isLabelRequirement(value: unknown): value is LabelRequirement {
  if (!isRecordOf(value, isAnything)) return false;
  const { key, operator, values = [], ...rest } = value;
  return (
    isText(key) &&
    (OPERATORS as readonly unknown[]).includes(operator) &&
    Array.isArray(values) &&
    values.every(isText) &&
    Object.keys(rest).length === 0
  );
}

function isRecordOf<T>(value: unknown, isEntry: (entry: unknown) => entry is T): value is Record<string, T> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every(isEntry)
  );
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isAnything(_value: unknown): _value is unknown {
  return true;
}
