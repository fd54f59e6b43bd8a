/** What the agent wants of iptables in one namespace and family: its own chains, and the jumps into them. */

/** In the order in which they are filled: redirection in nat begins last, when marks and zones are in place. */
export const TABLES = ['raw', 'mangle', 'nat'] as const;
export type TableName = (typeof TABLES)[number];

export interface Chain {
  readonly name: string;
  /** What follows `-A <chain>`, in order. */
  readonly rules: readonly string[];
  /** The built-in chain that jumps here. */
  readonly hook: string;
  /** Whether the jump must be the first rule of the built-in chain; otherwise it is appended once. */
  readonly first: boolean;
}

export type RuleSet = Readonly<Record<TableName, readonly Chain[]>>;

export const EMPTY_RULE_SET: RuleSet = { raw: [], mangle: [], nat: [] };
