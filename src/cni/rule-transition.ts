/** Compares the rules that are there with the rules that should be, and writes the one transaction between them. */

import { canonicalRule, targetOf } from './iptables-rule.ts';
import type { SavedChains, SavedTables } from './iptables-save.ts';
import { type Chain, type RuleSet, TABLES, type TableName } from './rule-set.ts';

export interface RuleDifference {
  readonly kind:
    | 'missing-chain'
    | 'leftover-chain'
    | 'missing-jump'
    | 'extra-jump'
    | 'misplaced-jump'
    | 'missing-rule'
    | 'extra-rule'
    | 'rule-order';
  readonly table: TableName;
  readonly chain: string;
  readonly rule?: string;
}

/** A rule somewhere in a table that sends packets to one of our chains. */
interface Reference {
  readonly chain: string;
  readonly rule: string;
  readonly index: number;
}

/** One table as it is and as it should be. */
interface TableView {
  readonly table: TableName;
  readonly chains: SavedChains;
  readonly desired: readonly Chain[];
  readonly owned: readonly string[];
}

/** Everything in which `saved` is not `desired`; chains that are not in `owned` are none of our business. */
export function ruleDifferences(
  saved: SavedTables,
  desired: RuleSet,
  owned: readonly string[],
): RuleDifference[] {
  return TABLES.flatMap((table) => tableDifferences(viewOf(table, saved, desired, owned)));
}

/**
 * Input for `iptables-restore --noflush` that turns `saved` into `desired`, each table in one transaction;
 * '' when there is nothing to do. Tables that are right already are not touched.
 */
export function ruleTransition(saved: SavedTables, desired: RuleSet, owned: readonly string[]): string {
  const isRemoval = TABLES.every((table) => desired[table].length === 0);
  return (isRemoval ? TABLES.toReversed() : TABLES)
    .map((table) => viewOf(table, saved, desired, owned))
    .filter((view) => tableDifferences(view).length > 0)
    .map(tableTransition)
    .join('');
}

function viewOf(table: TableName, saved: SavedTables, desired: RuleSet, owned: readonly string[]): TableView {
  return { table, chains: saved.get(table) ?? new Map(), desired: desired[table], owned };
}

function tableDifferences(view: TableView): RuleDifference[] {
  return view.owned.flatMap((name) => {
    const chain = view.desired.find((one) => one.name === name);
    if (chain === undefined) return leftover(view, name);
    return [...jumpDifferences(view, chain), ...bodyDifferences(view, chain)];
  });
}

function leftover(view: TableView, name: string): RuleDifference[] {
  const { table } = view;
  return [
    ...(view.chains.has(name) ? [{ kind: 'leftover-chain', table, chain: name } as const] : []),
    ...referencesTo(view, name).map((found) => extraJump(table, found)),
  ];
}

function extraJump(table: TableName, found: Reference): RuleDifference {
  return { kind: 'extra-jump', table, chain: found.chain, rule: found.rule };
}

function jumpDifferences(view: TableView, chain: Chain): RuleDifference[] {
  const { kept, extra } = sortReferences(view, chain);
  const wrong = extra.map((found) => extraJump(view.table, found));
  if (kept !== undefined && !isMisplaced(kept, chain)) return wrong;
  const kind = kept === undefined ? 'missing-jump' : 'misplaced-jump';
  return [...wrong, { kind, table: view.table, chain: chain.hook, rule: `-j ${chain.name}` }];
}

function isMisplaced(kept: Reference, chain: Chain): boolean {
  return chain.first && kept.index !== 0;
}

/** The one jump that may stay, and every other reference. */
function sortReferences(view: TableView, chain: Chain): { kept: Reference | undefined; extra: Reference[] } {
  const all = referencesTo(view, chain.name);
  const plain = all.filter(
    (one) => one.chain === chain.hook && canonicalRule(one.rule) === `-j ${chain.name}`,
  );
  const kept = chain.first ? plain[0] : plain.at(-1);
  return { kept, extra: all.filter((one) => one !== kept) };
}

/** References from our own chains are not counted: those are compared, and rewritten, as a whole. */
function referencesTo(view: TableView, name: string): Reference[] {
  return [...view.chains]
    .filter(([chain]) => !view.owned.includes(chain))
    .flatMap(([chain, rules]) => rules.map((rule, index) => ({ chain, rule, index })))
    .filter((one) => targetOf(one.rule) === name);
}

function bodyDifferences({ table, chains }: TableView, chain: Chain): RuleDifference[] {
  const saved = chains.get(chain.name);
  if (saved === undefined) return [{ kind: 'missing-chain', table, chain: chain.name }];
  if (chain.rules.map(canonicalRule).join('\n') === saved.map(canonicalRule).join('\n')) return [];
  const missing = without(chain.rules, saved);
  const extra = without(saved, chain.rules);
  if (missing.length === 0 && extra.length === 0) return [{ kind: 'rule-order', table, chain: chain.name }];
  return [
    ...missing.map((rule) => ({ kind: 'missing-rule', table, chain: chain.name, rule }) as const),
    ...extra.map((rule) => ({ kind: 'extra-rule', table, chain: chain.name, rule }) as const),
  ];
}

/** `all` less one equivalent rule for each in `taken`. */
function without(all: readonly string[], taken: readonly string[]): string[] {
  const rest = taken.map(canonicalRule);
  return all.filter((one) => {
    const index = rest.indexOf(canonicalRule(one));
    if (index >= 0) rest.splice(index, 1);
    return index < 0;
  });
}

/** A declaration flushes a chain that exists, so filling it again is part of the same transaction. */
function tableTransition(view: TableView): string {
  const { desired, chains } = view;
  const names = desired.map((chain) => chain.name);
  const unwanted = view.owned.filter((name) => !names.includes(name));
  const doomed = unwanted.filter((name) => chains.has(name));
  const lines = [
    `*${view.table}`,
    ...[...names, ...doomed].map((name) => `:${name} - [0:0]`),
    ...unwanted.flatMap((name) => referencesTo(view, name)).map(deletion),
    ...desired.flatMap((chain) => jumpLines(view, chain)),
    ...desired.flatMap((chain) => chain.rules.map((rule) => `-A ${chain.name} ${rule}`)),
    ...doomed.map((name) => `-X ${name}`),
    'COMMIT',
  ];
  return `${lines.join('\n')}\n`;
}

function jumpLines(view: TableView, chain: Chain): string[] {
  const { kept, extra } = sortReferences(view, chain);
  if (chain.first) {
    // -D takes the first rule that matches, which may be the one to keep: all go, and one is put in front.
    const isRight = kept !== undefined && kept.index === 0 && extra.length === 0;
    const all = kept === undefined ? extra : [kept, ...extra];
    return isRight ? [] : [...all.map(deletion), `-I ${chain.hook} 1 -j ${chain.name}`];
  }
  return [...extra.map(deletion), ...(kept === undefined ? [`-A ${chain.hook} -j ${chain.name}`] : [])];
}

function deletion(reference: Reference): string {
  return `-D ${reference.chain} ${reference.rule}`;
}
