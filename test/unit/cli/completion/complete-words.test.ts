/** Which words are offered where. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { completeWords } from '../../../../src/cli/completion/complete-words.ts';
import { SHELL_SCRIPTS } from '../../../../src/cli/completion/shell-scripts.ts';
import { createProgram } from '../../../../src/cli/program.ts';
import { ambit } from '../../../support/ambit-command.ts';

const program = createProgram();

function words(...line: readonly string[]): readonly string[] {
  const completion = completeWords(program, line);
  assert.equal(completion.kind, 'words');
  return completion.kind === 'words' ? completion.words : [];
}

test('commands are offered by what is typed of them', () => {
  assert.ok(words('').includes('install'));
  assert.deepEqual(words('un'), ['uninstall']);
  assert.deepEqual(words('zc', 'c'), ['certificate', 'connections']);
  assert.deepEqual(words('nonsense', ''), words(''));
});

test('options are offered once a dash is typed', () => {
  assert.deepEqual(words('check', '--pr'), ['--pre']);
  assert.ok(words('install', '--').includes('--dry-run'));
});

test('an option with choices offers them, behind its short form as well', () => {
  assert.deepEqual(words('check', '-o', ''), ['json', 'short', 'table']);
  assert.deepEqual(words('zc', 'connections', '--direction', 'in'), ['inbound']);
  assert.deepEqual(words('completion', 'z'), ['zsh']);
});

test('where a name of the cluster belongs, its kind is told', () => {
  assert.deepEqual(completeWords(program, ['status', '--node', 'w']), { kind: 'names', source: 'node' });
  assert.deepEqual(completeWords(program, ['zc', 'workload', '-n', 'shop', '']), {
    kind: 'names',
    source: 'pod',
    namespace: 'shop',
  });
  assert.deepEqual(completeWords(program, ['status', '-f', '']), { kind: 'files' });
});

test('every program that asks gets its words and a directive, whatever was typed', async () => {
  const answer = await ambit('__complete', 'zc', 'workload', '--no');
  assert.deepEqual([answer.code, answer.stdout], [0, '--no-headers\n--node\n:4\n']);
  assert.equal((await ambit('__complete', 'status', '--file', 'x')).stdout, ':0\n');
  assert.equal((await ambit('__complete', '--wrong', '-x', 'unin')).stdout, 'uninstall\n:4\n');
});

test('the script for bash is one, and completes', () => {
  const script = `${SHELL_SCRIPTS.bash}
ambit() { printf '%s\\n' install uninstall :4; }
COMP_WORDS=(ambit ''); COMP_CWORD=1; _ambit; echo "\${COMPREPLY[@]}"`;
  assert.equal(execFileSync('bash', ['-c', script], { encoding: 'utf8' }), 'install uninstall\n');
});
