/** Some drills of `make attack` in short form: which limit answers, and that nothing and nobody is harmed. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AttackWorld } from '../attack/attack-world.ts';
import { runDrill } from '../attack/drill.ts';
import { drillNamed, warmUp } from '../attack/drills.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';

/** How fast the neighbour is answered is judged by `make attack`, on a machine that is quiet. */
const TIMES = { quietMs: 200, attackMs: 1500 };
const SHORT_FORM = [
  'rapid-reset',
  'continuation',
  'hpack-bomb',
  'data-dribble',
  'half-open',
  'long-chain',
  'connections-held',
  'source-ports',
  'descriptors',
  'dns-flood',
];

inOwnNamespaces(
  import.meta.filename,
  () => {
    let world: AttackWorld;

    before(async () => {
      world = await AttackWorld.start();
      await warmUp(world);
    });

    after(() => world.close());

    for (const name of SHORT_FORM) {
      test(`the drill ${name} is withstood`, async () => {
        assert.deepEqual((await runDrill(world, drillNamed(name), TIMES)).faults, []);
      });
    }
  },
  { users: 'one' },
);
