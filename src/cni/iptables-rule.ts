/** One iptables rule as text, and the canonical form in which two spellings of the same rule are equal. */

import { parseIp } from '../base/ip.ts';

const BASIC_OPTIONS: Readonly<Record<string, string>> = {
  '-s': '-s',
  '--source': '-s',
  '--src': '-s',
  '-d': '-d',
  '--destination': '-d',
  '--dst': '-d',
  '-i': '-i',
  '--in-interface': '-i',
  '-o': '-o',
  '--out-interface': '-o',
  '-p': '-p',
  '--protocol': '-p',
  '-f': '-f',
  '--fragment': '-f',
};
const TARGET_OPTIONS: Readonly<Record<string, string>> = {
  '-j': '-j',
  '--jump': '-j',
  '-g': '-g',
  '--goto': '-g',
};
const PROTOCOL_NAMES: Readonly<Record<string, string>> = { '6': 'tcp', '17': 'udp' };
/** Matches that come with `-p` and that some versions print and others do not. */
const PROTOCOL_MATCHES = new Set(['tcp', 'udp']);
const MATCHES_EVERYTHING = /^-[sd] (0\.0\.0\.0|::)\/0$/;
const OPTION_ALIASES: Readonly<Record<string, string>> = {
  '--to-port': '--to-ports',
  '--destination-port': '--dport',
  '--source-port': '--sport',
};

interface Option {
  readonly negated: boolean;
  readonly name: string;
  readonly values: readonly string[];
}

/** Splits a rule as iptables-save quotes it: blanks between words, double quotes with backslash escapes. */
export function splitRule(spec: string): string[] {
  const words: string[] = [];
  for (const match of spec.matchAll(/"((?:[^"\\]|\\.)*)"?|(\S+)/gs)) {
    words.push(match[2] ?? match[1]!.replace(/\\(.)/gs, '$1'));
  }
  return words;
}

/**
 * The canonical form of a rule's specification (what follows `-A CHAIN`): implied matches and host prefixes are
 * dropped, aliases resolved, and matches sorted, as their order has no meaning. Any text is accepted.
 */
export function canonicalRule(spec: string): string {
  const matches: string[] = [];
  const targets: string[] = [];
  let owner = 'protocol';
  for (const option of optionsOf(splitRule(spec))) {
    const target = TARGET_OPTIONS[option.name];
    if (target !== undefined) {
      owner = 'target';
      targets.push(render(option, target));
    } else if (owner === 'target') {
      targets.push(render(option, option.name));
    } else if (option.name === '-m' || option.name === '--match') {
      const name = option.values[0] ?? '';
      owner = PROTOCOL_MATCHES.has(name) ? 'protocol' : name;
      if (owner !== 'protocol') matches.push(`-m ${name}`);
    } else {
      const basic = BASIC_OPTIONS[option.name];
      const text = basic === undefined ? `${owner}:${render(option, option.name)}` : render(option, basic);
      if (!MATCHES_EVERYTHING.test(text)) matches.push(text);
    }
  }
  return [...matches.sort(), ...targets.slice(0, 1), ...targets.slice(1).sort()].join(' ');
}

/** The chain that a rule goes to, when it is a plain jump or any other rule with a target; '' without one. */
export function targetOf(spec: string): string {
  const option = optionsOf(splitRule(spec)).find((one) => TARGET_OPTIONS[one.name] !== undefined);
  return option?.values[0] ?? '';
}

function optionsOf(words: readonly string[]): Option[] {
  const options: { negated: boolean; name: string; values: string[] }[] = [];
  let negated = false;
  for (const word of words) {
    if (word === '!') {
      negated = true;
    } else if (/^-{1,2}[A-Za-z]/.test(word)) {
      options.push({ negated, name: OPTION_ALIASES[word] ?? word, values: [] });
      negated = false;
    } else {
      options.at(-1)?.values.push(word);
    }
  }
  return options;
}

function render(option: Option, name: string): string {
  const values = option.values.map((value) => canonicalValue(name, value));
  return [...(option.negated ? ['!'] : []), name, ...values].join(' ');
}

function canonicalValue(name: string, value: string): string {
  if (name === '-p') return PROTOCOL_NAMES[value] ?? value;
  if (name !== '-s' && name !== '-d') return /^0x[0-9a-f/x]+$/i.test(value) ? value.toLowerCase() : value;
  const [address, prefix] = value.split('/') as [string, string?];
  const ip = parseIp(address) ?? address;
  const isHost = prefix === undefined || prefix === (ip.includes(':') ? '128' : '32');
  return isHost ? ip : `${ip}/${prefix}`;
}
