/** Memory of a node proxy after a crowd of connections, while others go on as before. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AttackWorld, MORE_ADDRESSES, OWN_ADDRESS } from '../attack/attack-world.ts';
import { warmUp } from '../attack/drills.ts';
import { Hoard } from '../attack/hoard.ts';
import { eventuallyAnswers } from '../support/eventually.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';

/** Enough for what they take to stand out from the breath of a heap. */
const CROWD = 1000;
const MIN_TAKEN = 16 * 1024 * 1024;
/** Of what the crowd took; without anything done for it more than three quarters stay. */
const MAY_STAY = 0.4;
/** Sockets that are closed by the thousand take their time on a busy machine. */
const RETURN_MS = 60_000;

inOwnNamespaces(
  import.meta.filename,
  () => {
    test(`what ${CROWD} connections took is given back when they are gone, although calls go on`, async (t) => {
      const world = await AttackWorld.start();
      t.after(() => world.close());
      await warmUp(world);
      const hoard = new Hoard(world);
      const before = world.node.residentBytes;
      await hoard.fill([OWN_ADDRESS, ...MORE_ADDRESSES], (added) => added >= CROWD);
      const taken = world.node.residentBytes - before;
      assert.ok(taken >= MIN_TAKEN, `they took only ${taken} bytes`);
      await world.pacer.report();
      await hoard.close();
      await eventuallyAnswers(
        `no more than ${before + taken * MAY_STAY} bytes`,
        async () => world.node.residentBytes <= before + taken * MAY_STAY,
        RETURN_MS,
      );
      const { calls, failures } = await world.pacer.report();
      assert.deepEqual(failures, []);
      assert.ok(calls > 0);
    });
  },
  { users: 'one' },
);
