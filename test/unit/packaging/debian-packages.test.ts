/** Which of a machine's apt sources packages are taken from. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sourcesOf } from '../../../scripts/packaging/debian-packages.ts';

test('lines of the distribution, its updates and its security updates are kept', () => {
  const kept = sourcesOf(
    'bookworm',
    'sources.list',
    [
      '# deb http://mirror.example/debian bookworm main',
      'deb http://mirror.example/debian bookworm main',
      'deb [signed-by=/usr/share/keyrings/a.gpg arch=amd64] http://mirror.example/debian bookworm-updates main',
      'deb-src http://mirror.example/debian bookworm main',
      'deb http://security.example/debian-security bookworm-security main',
      'deb http://other.example/apt cloud-sdk-bookworm main',
      'deb http://mirror.example/debian bookworm-backports main',
    ].join('\n'),
  );
  assert.deepEqual(kept.match(/bookworm\S*/g), ['bookworm', 'bookworm-updates', 'bookworm-security']);
});

test('stanzas are kept by their suites', () => {
  const stanza = (suites: string) =>
    `Types: deb\nURIs: http://mirror.example\nSuites: ${suites}\nComponents: main`;
  const text = [
    stanza('bookworm bookworm-updates'),
    stanza('nodistro'),
    `# why\n${stanza('bookworm-security')}`,
  ];
  const kept = sourcesOf('bookworm', 'debian.sources', text.join('\n\n'));
  assert.equal(kept, `${text[0]}\n\n${text[2]}\n`);
});
