/** Reads what iptables-save prints: tables, chains and rules as text, of either flavour and any version. */

/** Chains of one table, each with the specifications (what follows `-A CHAIN`) of its rules in order. */
export type SavedChains = ReadonlyMap<string, readonly string[]>;
export type SavedTables = ReadonlyMap<string, SavedChains>;

/** Never throws: a line that is not understood is left out, so that the comparison finds its rule missing. */
export function parseIptablesSave(text: string): SavedTables {
  const tables = new Map<string, Map<string, string[]>>();
  let chains: Map<string, string[]> | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      chains = tables.get(line.slice(1).trim()) ?? new Map();
      tables.set(line.slice(1).trim(), chains);
    } else if (line === 'COMMIT') {
      chains = undefined;
    } else if (chains !== undefined) {
      readChainLine(chains, line);
    }
  }
  return tables;
}

function readChainLine(chains: Map<string, string[]>, line: string): void {
  const declared = /^:(\S+)/.exec(line);
  if (declared !== null) {
    chains.set(declared[1]!, chains.get(declared[1]!) ?? []);
    return;
  }
  const appended = /^(?:\[\d+:\d+\] )?-A (\S+)(?: (.*))?$/.exec(line);
  if (appended === null) return;
  const rules = chains.get(appended[1]!) ?? [];
  rules.push((appended[2] ?? '').trim());
  chains.set(appended[1]!, rules);
}
