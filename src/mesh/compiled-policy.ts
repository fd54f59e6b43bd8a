/** Authorization policies compiled for evaluation, once per policy; one code path both decides and explains. */

import type {
  Authorization,
  AuthorizationMatch,
  AuthorizationRule,
  ServiceAccountMatch,
} from './authorization.ts';
import { authorizationName } from './authorization.ts';
import type { PolicySubject } from './policy-subject.ts';
import { BlockMatcher, StringMatcher } from './value-matchers.ts';

const ATTRIBUTES = [
  'namespaces',
  'notNamespaces',
  'principals',
  'notPrincipals',
  'sourceIps',
  'notSourceIps',
  'destinationIps',
  'notDestinationIps',
  'destinationPorts',
  'notDestinationPorts',
  'serviceAccounts',
  'notServiceAccounts',
] as const;

/** The list of a match that a connection fails; `empty`: the match has no list at all and so never matches. */
export type Mismatch = (typeof ATTRIBUTES)[number] | 'empty';

export class CompiledMatch {
  /** What it was compiled from. */
  readonly source: AuthorizationMatch;
  readonly isEmpty: boolean;
  readonly #ports: readonly number[];
  readonly #notPorts: readonly number[];
  readonly #namespaces: StringMatcher | undefined;
  readonly #notNamespaces: StringMatcher | undefined;
  readonly #serviceAccounts: ReadonlySet<string> | undefined;
  readonly #notServiceAccounts: ReadonlySet<string> | undefined;
  readonly #principals: StringMatcher | undefined;
  readonly #notPrincipals: StringMatcher | undefined;
  readonly #sourceIps: BlockMatcher | undefined;
  readonly #notSourceIps: BlockMatcher | undefined;
  readonly #destinationIps: BlockMatcher | undefined;
  readonly #notDestinationIps: BlockMatcher | undefined;

  constructor(match: AuthorizationMatch) {
    this.source = match;
    this.isEmpty = isEmptyMatch(match);
    this.#ports = match.destinationPorts;
    this.#notPorts = match.notDestinationPorts;
    this.#namespaces = whenAny(match.namespaces, (list) => new StringMatcher(list));
    this.#notNamespaces = whenAny(match.notNamespaces, (list) => new StringMatcher(list));
    this.#serviceAccounts = whenAny(match.serviceAccounts, serviceAccountSet);
    this.#notServiceAccounts = whenAny(match.notServiceAccounts, serviceAccountSet);
    this.#principals = whenAny(match.principals, (list) => new StringMatcher(list));
    this.#notPrincipals = whenAny(match.notPrincipals, (list) => new StringMatcher(list));
    this.#sourceIps = whenAny(match.sourceIps, (list) => new BlockMatcher(list));
    this.#notSourceIps = whenAny(match.notSourceIps, (list) => new BlockMatcher(list));
    this.#destinationIps = whenAny(match.destinationIps, (list) => new BlockMatcher(list));
    this.#notDestinationIps = whenAny(match.notDestinationIps, (list) => new BlockMatcher(list));
  }

  /** The first list that the connection fails; undefined when it matches. The cheapest lists are asked first. */
  mismatch(subject: PolicySubject): Mismatch | undefined {
    if (this.isEmpty) return 'empty';
    return this.#portMismatch(subject) ?? this.#identityMismatch(subject) ?? this.#addressMismatch(subject);
  }

  #portMismatch(subject: PolicySubject): Mismatch | undefined {
    const port = subject.destinationPort;
    if (this.#ports.length > 0 && !this.#ports.includes(port)) return 'destinationPorts';
    return this.#notPorts.includes(port) ? 'notDestinationPorts' : undefined;
  }

  /**
   * Without identity no principal and no service account matches, so that `notPrincipals: presence` is satisfied:
   * that is how STRICT refuses plaintext.
   */
  #identityMismatch(subject: PolicySubject): Mismatch | undefined {
    const { namespace, serviceAccount, principal } = subject;
    if (this.#namespaces?.matches(namespace) === false) return 'namespaces';
    if (this.#notNamespaces?.matches(namespace)) return 'notNamespaces';
    if (this.#serviceAccounts?.has(serviceAccount) === false) return 'serviceAccounts';
    if (this.#notServiceAccounts?.has(serviceAccount)) return 'notServiceAccounts';
    const known = principal !== '';
    if (this.#principals !== undefined && !(known && this.#principals.matches(principal)))
      return 'principals';
    return known && this.#notPrincipals?.matches(principal) ? 'notPrincipals' : undefined;
  }

  #addressMismatch(subject: PolicySubject): Mismatch | undefined {
    if (this.#sourceIps?.matches(subject.sourceWords) === false) return 'sourceIps';
    if (this.#notSourceIps?.matches(subject.sourceWords)) return 'notSourceIps';
    if (this.#destinationIps?.matches(subject.destinationWords) === false) return 'destinationIps';
    return this.#notDestinationIps?.matches(subject.destinationWords) ? 'notDestinationIps' : undefined;
  }
}

/** A rule: every clause must have a match that matches, or no match at all. */
export class CompiledRule {
  readonly policy: CompiledPolicy;
  readonly clauses: readonly (readonly CompiledMatch[])[];

  constructor(policy: CompiledPolicy, rule: AuthorizationRule) {
    this.policy = policy;
    this.clauses = rule.clauses.map((clause) => clause.matches.map((match) => new CompiledMatch(match)));
  }

  /** False when a clause consists of empty matches only, so that no connection can satisfy it. */
  get canMatch(): boolean {
    return this.clauses.every((clause) => clause.length === 0 || clause.some((match) => !match.isEmpty));
  }

  matches(subject: PolicySubject): boolean {
    for (const clause of this.clauses) if (!clauseMatches(clause, subject)) return false;
    return true;
  }
}

/** Compiled when it is first asked: most policies of a cluster are never evaluated on a given node. */
export class CompiledPolicy {
  /** `namespace/name`. */
  readonly name: string;
  readonly authorization: Authorization;
  #rules: readonly CompiledRule[] | undefined;

  constructor(authorization: Authorization) {
    this.name = authorizationName(authorization);
    this.authorization = authorization;
  }

  get rules(): readonly CompiledRule[] {
    this.#rules ??= this.authorization.rules.map((rule) => new CompiledRule(this, rule));
    return this.#rules;
  }

  matches(subject: PolicySubject): boolean {
    for (const rule of this.rules) if (rule.matches(subject)) return true;
    return false;
  }
}

export function clauseMatches(clause: readonly CompiledMatch[], subject: PolicySubject): boolean {
  if (clause.length === 0) return true;
  for (const match of clause) if (match.mismatch(subject) === undefined) return true;
  return false;
}

function isEmptyMatch(match: AuthorizationMatch): boolean {
  return ATTRIBUTES.every((attribute) => match[attribute].length === 0);
}

function whenAny<T, R>(list: readonly T[], compile: (list: readonly T[]) => R): R | undefined {
  return list.length === 0 ? undefined : compile(list);
}

function serviceAccountSet(matches: readonly ServiceAccountMatch[]): ReadonlySet<string> {
  return new Set(matches.map((match) => `${match.namespace}/${match.serviceAccount}`));
}
