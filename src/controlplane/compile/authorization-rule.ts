/** Turns one rule of an AuthorizationPolicy into what a node proxy can enforce, and never into anything laxer than that. */

import { Cidr } from '../../base/ip.ts';
import type {
  AuthorizationAction,
  AuthorizationClause,
  AuthorizationMatch,
  AuthorizationRule as CompiledRule,
  ServiceAccountMatch,
} from '../../mesh/authorization.ts';
import type { AuthorizationCondition, AuthorizationRule } from '../../objects/istio-types.ts';
import { isEmptyMatch, matchOf, stringMatchOf } from './connection-match.ts';

/** What became of a rule, and what of it could not be kept. */
export interface RuleResult {
  /** Absent when the rule has no effect here. */
  readonly rule?: CompiledRule;
  /** Attributes that only a waypoint can enforce, by name. */
  readonly unsupported: readonly string[];
  /** Values that mean nothing, with their place. */
  readonly invalid: readonly string[];
}

type Values = readonly string[];
type Attributes = Readonly<Record<string, Values | undefined>>;
type Converter = (
  values: Values,
  note: (value: string) => void,
  namespace: string,
) => Partial<AuthorizationMatch>;

const PORT_MAX = 65535;

/** Attributes of `source` and `operation` that are known at L4. */
const L4_ATTRIBUTES: Readonly<Record<string, Converter>> = {
  principals: (values) => ({ principals: values.map(stringMatchOf) }),
  notPrincipals: (values) => ({ notPrincipals: values.map(stringMatchOf) }),
  namespaces: (values) => ({ namespaces: values.map(stringMatchOf) }),
  notNamespaces: (values) => ({ notNamespaces: values.map(stringMatchOf) }),
  serviceAccounts: (values, note, namespace) => ({ serviceAccounts: accounts(values, note, namespace) }),
  notServiceAccounts: (values, note, namespace) => ({
    notServiceAccounts: accounts(values, note, namespace),
  }),
  ipBlocks: (values, note) => ({ sourceIps: blocks(values, note) }),
  notIpBlocks: (values, note) => ({ notSourceIps: blocks(values, note) }),
  ports: (values, note) => ({ destinationPorts: ports(values, note) }),
  notPorts: (values, note) => ({ notDestinationPorts: ports(values, note) }),
};

/** Keys of `when` that are known at L4: what `values` and `notValues` become. */
const L4_CONDITIONS: Readonly<Record<string, readonly [Converter, Converter]>> = {
  'source.ip': [L4_ATTRIBUTES.ipBlocks!, L4_ATTRIBUTES.notIpBlocks!],
  'source.namespace': [L4_ATTRIBUTES.namespaces!, L4_ATTRIBUTES.notNamespaces!],
  'source.principal': [L4_ATTRIBUTES.principals!, L4_ATTRIBUTES.notPrincipals!],
  'destination.ip': [
    (values, note) => ({ destinationIps: blocks(values, note) }),
    (values, note) => ({ notDestinationIps: blocks(values, note) }),
  ],
  'destination.port': [L4_ATTRIBUTES.ports!, L4_ATTRIBUTES.notPorts!],
};

/**
 * Converts a rule. Of an ALLOW policy a rule that cannot be kept whole is dropped: it would allow too much. Of a DENY
 * policy only the parts that cannot be kept are: what is left denies more than was written. When nothing is left the
 * rule has no effect, as in Istio.
 * @param namespace of the policy
 */
export function convertRule(
  rule: AuthorizationRule,
  action: AuthorizationAction,
  namespace: string,
): RuleResult {
  const conversion = new RuleConversion(namespace);
  const from = (rule.from ?? []).map(({ source }) => ({ ...source }));
  const to = (rule.to ?? []).map(({ operation }) => ({ ...operation }));
  const lists = [
    conversion.convertList('from', from),
    conversion.convertList('to', to),
    ...(rule.when ?? []).map((condition) => conversion.convertCondition(condition)),
  ];
  const { unsupported, invalid } = conversion;
  const complete = unsupported.length === 0 && invalid.length === 0;
  const clauses = action === 'ALLOW' && !complete ? undefined : clausesOf(lists);
  return { ...(clauses === undefined ? {} : { rule: { clauses } }), unsupported, invalid };
}

/** Undefined when the rule has lost everything it asked for. */
function clausesOf(lists: readonly ListResult[]): readonly AuthorizationClause[] | undefined {
  const asking = lists.filter((list) => list.kind !== 'anything');
  const whole = asking.flatMap((list) => (list.kind === 'whole' ? [list.clause] : []));
  if (whole.length > 0 || asking.length === 0) return whole;
  const rest = asking.flatMap((list) => (list.kind === 'reduced' ? (list.rest ?? []) : []));
  return rest.length > 0 ? rest : undefined;
}

/**
 * `anything`: the list asks nothing, as it was written. `reduced`: an entry lost all that was known of it, so that
 * the list as a whole would match anything; the rest of it is used when the rule asks for nothing else.
 */
type ListResult =
  | { readonly kind: 'anything' }
  | { readonly kind: 'whole'; readonly clause: AuthorizationClause }
  | { readonly kind: 'reduced'; readonly rest?: AuthorizationClause };

class RuleConversion {
  readonly unsupported: string[] = [];
  readonly invalid: string[] = [];
  readonly #namespace: string;

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  /** One of the entries must match. */
  convertList(place: 'from' | 'to', entries: readonly Attributes[]): ListResult {
    if (entries.length === 0) return { kind: 'anything' };
    const matches = entries.map((entry, at) => this.#convertEntry(`${place}[${at}]`, entry));
    if (matches.includes('everything')) return { kind: 'anything' };
    return this.#clauseOf(matches.filter((match) => match !== 'everything'));
  }

  convertCondition({ key, values = [], notValues = [] }: AuthorizationCondition): ListResult {
    const converters = Object.hasOwn(L4_CONDITIONS, key) ? L4_CONDITIONS[key] : undefined;
    if (converters === undefined) {
      this.#noteUnsupported(`when[${key}]`);
      return { kind: 'reduced' };
    }
    if (values.length === 0 && notValues.length === 0) {
      this.invalid.push(`when[${key}] has no values`);
      return { kind: 'anything' };
    }
    const positive = converters[0](values, this.#noteInvalid(`when[${key}].values`), this.#namespace);
    const negative = converters[1](notValues, this.#noteInvalid(`when[${key}].notValues`), this.#namespace);
    return this.#clauseOf([matchOf({ ...positive, ...negative })]);
  }

  #convertEntry(place: string, entry: Attributes): AuthorizationMatch | 'everything' {
    const given = Object.entries(entry).filter(([, values]) => values !== undefined && values.length > 0);
    if (given.length === 0) {
      this.invalid.push(`${place} names no attribute`);
      return 'everything';
    }
    let match = matchOf({});
    for (const [attribute, values] of given) {
      const convert = Object.hasOwn(L4_ATTRIBUTES, attribute) ? L4_ATTRIBUTES[attribute] : undefined;
      if (convert === undefined) this.#noteUnsupported(attribute);
      else
        match = {
          ...match,
          ...convert(values!, this.#noteInvalid(`${place}.${attribute}`), this.#namespace),
        };
    }
    return match;
  }

  #clauseOf(matches: readonly AuthorizationMatch[]): ListResult {
    const left = matches.filter((match) => !isEmptyMatch(match));
    if (left.length === matches.length) return { kind: 'whole', clause: { matches } };
    return left.length === 0 ? { kind: 'reduced' } : { kind: 'reduced', rest: { matches: left } };
  }

  #noteUnsupported(attribute: string): void {
    if (!this.unsupported.includes(attribute)) this.unsupported.push(attribute);
  }

  #noteInvalid(place: string): (value: string) => void {
    return (value) => this.invalid.push(`${place}: ${JSON.stringify(value)}`);
  }
}

function ports(values: Values, note: (value: string) => void): number[] {
  return values.flatMap((value) => {
    const port = Number(value);
    if (/^\d{1,5}$/.test(value) && port > 0 && port <= PORT_MAX) return [port];
    note(value);
    return [];
  });
}

function blocks(values: Values, note: (value: string) => void): Cidr[] {
  return values.flatMap((value) => {
    const block = Cidr.parse(value);
    if (block === undefined) note(value);
    return block ?? [];
  });
}

/** `namespace/account`, or `account` in the namespace of the policy; there are no wildcards. */
function accounts(values: Values, note: (value: string) => void, namespace: string): ServiceAccountMatch[] {
  return values.flatMap((value) => {
    const match = /^(?:([^/*]+)\/)?([^/*]+)$/.exec(value);
    if (match !== null) return [{ namespace: match[1] ?? namespace, serviceAccount: match[2]! }];
    note(value);
    return [];
  });
}
