/** Whatever an API server does, and in whatever order, the view ends up as the server's own. */

import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { eventually } from '../../support/eventually.ts';
import { answerStatus, HostileApiServer, lineOf, statusObject } from '../../support/hostile-api-server.ts';
import { ReflectedThings } from '../../support/reflected-things.ts';

type Deed = (server: HostileApiServer) => void;

/** What happens to the objects. */
const CHANGES: readonly fc.Arbitrary<Deed>[] = [
  fc.tuple(fc.nat(5), fc.nat(9)).map(
    ([name, value]) =>
      (server) =>
        server.put(`t${name}`, String(value)),
  ),
  fc.nat(5).map((name) => (server) => server.remove(`t${name}`)),
  // Deleted and made anew under the same name.
  fc.nat(5).map((name) => (server) => {
    server.remove(`t${name}`);
    server.put(`t${name}`, 'anew');
  }),
];

/** What happens to those who read them. */
const FAULTS: readonly Deed[] = [
  (server) => server.cutWatches('close'),
  (server) => server.cutWatches('reset'),
  (server) => server.bookmark(),
  (server) => server.broadcast('{"type":"MODI'),
  (server) => server.broadcast('}\n'),
  (server) => server.broadcast(lineOf({ type: 'ERROR', object: statusObject(410, 'Expired') })),
  (server) => server.broadcast(lineOf({ type: 'ERROR', object: statusObject(500, 'InternalError') })),
  (server) => {
    server.compactedTo = server.version;
  },
  (server) => server.watches.push(({ response }) => answerStatus(response, 410, 'Gone')),
  (server) => server.watches.push(({ response }) => answerStatus(response, 503, 'ServiceUnavailable')),
  (server) => server.watches.push(({ response }) => server.reset(response)),
  (server) => server.lists.push(({ response }) => server.reset(response)),
  (server) => server.lists.push(({ response }) => answerStatus(response, 500, 'InternalError')),
  (server) => server.lists.push(({ response }) => response.writeHead(200).end('<html>')),
];

const deeds = fc.array(fc.oneof(...CHANGES, fc.constantFrom(...FAULTS)), { minLength: 1, maxLength: 40 });

test('the view agrees with the server in the end, whatever happens', async () => {
  await fc.assert(
    fc.asyncProperty(deeds, fc.array(fc.nat(3), { maxLength: 40 }), async (sequence, pauses) => {
      await using server = await HostileApiServer.start();
      await using things = new ReflectedThings(server, await server.client(), { backoffMs: [1, 4] });
      things.reflector.start();
      for (const [at, deed] of sequence.entries()) {
        deed(server);
        const pause = pauses[at] ?? 0;
        if (pause > 0) await delay(pause);
      }
      // A half line may be out: it ends here.
      server.cutWatches('close');
      server.put('last', 'one');
      await eventually('agreement', () => things.agrees() || undefined, 30_000);
    }),
    { numRuns: 150 },
  );
});
