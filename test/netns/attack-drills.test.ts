/** Some drills of `make attack` in short form: which limit answers, and that nothing and nobody is harmed. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AttackWorld } from '../attack/attack-world.ts';
import { runDrill } from '../attack/drill.ts';
import { drillNamed, warmUp } from '../attack/drills.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';

/** How fast the neighbour is answered is judged by `make attack`, on a machine that is quiet. */
const TIMES = { quietMs: 200, attackMs: 1500 };

inOwnNamespaces(
  import.meta.filename,
  () => {
    let world: AttackWorld;

    before(async () => {
      world = await AttackWorld.start();
      await warmUp(world);
    });

    after(() => world.close());

    for (const name of ['rapid-reset', 'continuation', 'hpack-bomb', 'ping']) {
      test(`the drill ${name} is withstood`, async () => {
        assert.deepEqual((await runDrill(world, drillNamed(name), TIMES)).faults, []);
      });
    }
  },
  { users: 'one' },
);
