/** Where a namespace that is left with few source ports finds one, and how far it looks. */

import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { release } from 'node:os';
import { after, before, beforeEach, test } from 'node:test';
import { TcpListener } from '../../src/io/tcp-listener.ts';
import { TcpSocket } from '../../src/io/tcp-socket.ts';
import { IP_LOCAL_PORT_RANGE, SOL_IP } from '../../src/sys/layouts.ts';
import { closeDescriptor, getOption, openSocket } from '../../src/sys/sockets.ts';
import { MAX_SEARCHES, PORTS_PER_SEARCH, SourcePorts } from '../../src/sys/source-ports.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { PodNamespace } from '../support/pod-namespace.ts';
import { address, testReactor, until } from '../support/reactor-harness.ts';
import { withoutDescriptors } from '../support/without-descriptors.ts';

/** A range that is searched as a whole by one connection. */
const LOW = 40_000;
const HIGH = LOW + MAX_SEARCHES * PORTS_PER_SEARCH - 1;

/** Before, the option that limits the search is not there. */
const FIRST_LINUX = [6, 3] as const;

inOwnNamespaces(import.meta.filename, () => {
  const reactor = testReactor();
  const sourcePorts = new SourcePorts();
  let pod: PodNamespace;
  let listeners: TcpListener[];

  before(() => {
    pod = new PodNamespace();
    const { namespace } = pod;
    listeners = ['127.0.0.1:0', '[::1]:0'].map((where) =>
      TcpListener.listen(reactor, address(where), { namespace }, (socket) => socket.abort()),
    );
  });
  after(() => {
    for (const listener of listeners) listener.close();
    pod.close();
  });
  beforeEach(() => set({ low: LOW, high: HIGH, reserved: '' }));

  function kernelIsOlder(): boolean {
    const [major, minor] = release().split('.').map(Number);
    return major! < FIRST_LINUX[0] || (major === FIRST_LINUX[0] && minor! < FIRST_LINUX[1]);
  }

  function set({ low, high, reserved }: { low: number; high: number; reserved: string }): void {
    pod.run(`sh -c 'cd /proc/sys/net/ipv4; echo ${low} ${high} >ip_local_port_range'`);
    pod.run(`sh -c 'echo ${reserved} >/proc/sys/net/ipv4/ip_local_reserved_ports'`);
  }

  /** The port that a connection got and the range it looked in, or the code of its failure. */
  async function connect(
    listener = listeners[0]!,
  ): Promise<{ port: number; first: number; last: number } | string> {
    let code: string | undefined;
    const options = { namespace: pod.namespace, sourcePorts };
    const socket = TcpSocket.connect(reactor, listener.localAddress, options, {
      onReadable() {},
      onWritable() {},
      onClosed: (error) => {
        code = error?.code;
      },
    });
    if (socket.fd < 0) await until(() => code !== undefined);
    if (code !== undefined) return code;
    const range = getOption(socket.fd, SOL_IP, IP_LOCAL_PORT_RANGE);
    const { port } = socket.localAddress;
    socket.abort();
    return { port, first: range & 0xffff, last: range >>> 16 };
  }

  test('a connection looks for its source port in a small part of the range, another one each time', async (t) => {
    if (kernelIsOlder()) return t.skip(`Linux ${release()} looks everywhere`);
    for (const listener of listeners) {
      const starts = new Set<number>();
      for (let i = 0; i < 50; i++) {
        const found = await connect(listener);
        assert.ok(typeof found === 'object', String(found));
        const { port, first, last } = found;
        assert.ok(first >= LOW && last <= HIGH && last - first < PORTS_PER_SEARCH, `${first} to ${last}`);
        assert.ok(port >= first && port <= last, `${port} of ${first} to ${last}`);
        starts.add(first);
      }
      assert.equal(starts.size, MAX_SEARCHES);
    }
  });

  test('a connection finds the only part in which a port is free', async () => {
    set({ low: LOW, high: HIGH, reserved: `${LOW}-${HIGH - 1}` });
    for (let i = 0; i < 20; i++) {
      const found = await connect();
      assert.ok(typeof found === 'object' && found.port === HIGH, JSON.stringify(found));
    }
  });

  test('a connection fails where no port is free, and the next one uses what the range is then', async () => {
    set({ low: LOW, high: HIGH, reserved: `${LOW}-${HIGH}` });
    assert.equal(await connect(), 'AMBIT_SOURCE_PORTS_EXHAUSTED');
    set({ low: HIGH + 1, high: HIGH + 2, reserved: `${LOW}-${HIGH}` });
    const found = await connect();
    assert.ok(typeof found === 'object' && found.port > HIGH, JSON.stringify(found));
  });

  test('a connection looks everywhere where the range cannot be read', async () => {
    const fd = openSocket(4, 'stream');
    after(() => closeDescriptor(fd));
    const range = await withoutDescriptors(async () => {
      assert.throws(() => openSync('/dev/null', 'r'), { code: 'EMFILE' });
      return new SourcePorts().connect(fd, () => getOption(fd, SOL_IP, IP_LOCAL_PORT_RANGE));
    });
    assert.ok(range <= 0, `${range}`);
  });
});
