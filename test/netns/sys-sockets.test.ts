/** Sockets in other network namespaces, and the options that need a kernel of one's own. */

import assert from 'node:assert/strict';
import { openSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { after, before, test } from 'node:test';
import type { AmbitError } from '../../src/base/errors.ts';
import { TcpListener } from '../../src/io/tcp-listener.ts';
import { type SocketOptions, TcpSocket } from '../../src/io/tcp-socket.ts';
import { UdpSocket } from '../../src/io/udp-socket.ts';
import { NetworkNamespace } from '../../src/sys/network-namespace.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { PodNamespace, sh } from '../support/pod-namespace.ts';
import { address, testReactor, until } from '../support/reactor-harness.ts';

inOwnNamespaces(import.meta.filename, () => {
  const pods: PodNamespace[] = [];
  const reactor = testReactor();
  let pod: PodNamespace;
  let peer: PodNamespace;

  function makePod(): PodNamespace {
    const made = new PodNamespace();
    pods.push(made);
    return made;
  }

  before(() => {
    pod = makePod();
    peer = makePod();
    sh(`ip link add veth0 netns ${pod.name} type veth peer name veth0 netns ${peer.name}`);
    [pod, peer].forEach((one, i) => {
      sh(`ip -n ${one.name} addr add 10.0.0.${i + 1}/24 dev veth0`);
      sh(`ip -n ${one.name} addr add fd00::${i + 1}/64 dev veth0 nodad`);
      sh(`ip -n ${one.name} link set veth0 up`);
    });
  });
  after(() => {
    for (const one of pods) one.close();
  });

  function listen(where: string, namespace: NetworkNamespace): { sockets: TcpSocket[]; port: number } {
    const sockets: TcpSocket[] = [];
    const listener = TcpListener.listen(reactor, address(where), { namespace }, (socket) => {
      sockets.push(socket);
    });
    after(() => listener.close());
    return { sockets, port: listener.localAddress.port };
  }

  /** How a connection turned out: undefined when it stands. */
  async function outcome(remote: string, options: SocketOptions): Promise<AmbitError | undefined> {
    let result: { error: AmbitError | undefined } | undefined;
    const socket = TcpSocket.connect(reactor, address(remote), options, {
      onConnected: () => {
        result = { error: undefined };
      },
      onReadable() {},
      onWritable() {},
      onClosed: (error) => {
        result ??= { error };
      },
    });
    await until(() => result !== undefined);
    after(() => socket.close());
    return result!.error;
  }

  test('a listener and a connection live in the namespace they were made in', async () => {
    const { namespace } = pod;
    const { sockets, port } = listen('127.0.0.1:0', namespace);
    assert.equal(await outcome(`127.0.0.1:${port}`, { namespace }), undefined);
    await until(() => sockets.length === 1);
    assert.equal((await outcome(`127.0.0.1:${port}`, {}))?.code, 'AMBIT_CONNECT_REFUSED');
    assert.equal(
      (await outcome(`127.0.0.1:${port}`, { namespace: peer.namespace }))?.code,
      'AMBIT_CONNECT_REFUSED',
    );
  });

  test('connections between namespaces tell their addresses', async () => {
    for (const [where, from, to] of [
      ['0.0.0.0:0', '10.0.0.1', '10.0.0.2'],
      ['[::]:0', 'fd00::1', '[fd00::2]'],
      ['[::]:0', '10.0.0.1', '10.0.0.2'],
    ] as const) {
      const { sockets, port } = listen(where, peer.namespace);
      assert.equal(await outcome(`${to}:${port}`, { namespace: pod.namespace }), undefined);
      await until(() => sockets.length === 1);
      assert.equal(sockets[0]!.remoteAddress.ip, from);
      assert.equal(sockets[0]!.localAddress.port, port);
    }
  });

  test('a datagram socket answers in the namespace it was made in', async () => {
    const received: string[] = [];
    const server = UdpSocket.bind(
      reactor,
      address('0.0.0.0:0'),
      { namespace: peer.namespace },
      (data, from) => {
        server.send(data, from);
      },
    );
    const client = UdpSocket.bind(
      reactor,
      address('10.0.0.1:0'),
      { namespace: pod.namespace },
      (data, from) => {
        received.push(`${Buffer.from(data)} from ${from.ip}`);
      },
    );
    client.send(Buffer.from('hello'), address(`10.0.0.2:${server.localAddress.port}`));
    await until(() => received.length === 1);
    assert.deepEqual(received, ['hello from 10.0.0.2']);
    server.close();
    client.close();
  });

  test('a redirected connection tells where it was headed, IPv4 and IPv6 on one listener', async () => {
    const { namespace } = pod;
    const { sockets, port } = listen('[::]:0', namespace);
    sh(
      `ip -n ${pod.name} addr add 10.9.9.9/32 dev lo && ip -n ${pod.name} addr add fd09::9/128 dev lo nodad`,
    );
    pod.run(`iptables -t nat -A OUTPUT -p tcp --dport 80 -j REDIRECT --to-ports ${port}`);
    pod.run(`ip6tables -t nat -A OUTPUT -p tcp --dport 80 -j REDIRECT --to-ports ${port}`);
    assert.equal(await outcome('10.9.9.9:80', { namespace }), undefined);
    await until(() => sockets.length === 1);
    assert.deepEqual(sockets[0]!.originalDestination(), address('10.9.9.9:80'));
    assert.equal(await outcome('[fd09::9]:80', { namespace }), undefined);
    await until(() => sockets.length === 2);
    assert.deepEqual(sockets[1]!.originalDestination(), address('[fd09::9]:80'));
    sockets[0]!.close();
    assert.equal(sockets[0]!.originalDestination(), undefined);
  });

  test('a transparent connection has a source address that is not ours', async () => {
    const { namespace } = pod;
    // Answers to the foreign addresses are led back to the pod, and in it to the socket.
    sh(
      `ip -n ${peer.name} route add 10.7.7.7 via 10.0.0.1 && ip -n ${peer.name} route add fd07::7 via fd00::1`,
    );
    for (const [family, everything] of [
      ['-4', '0.0.0.0/0'],
      ['-6', '::/0'],
    ]) {
      sh(`ip -n ${pod.name} ${family} rule add iif veth0 lookup 100`);
      sh(`ip -n ${pod.name} ${family} route add local ${everything} dev lo table 100`);
    }
    const { sockets, port } = listen('[::]:0', peer.namespace);
    const four = { namespace, bindTo: address('10.7.7.7:0') };
    const refused = await outcome(`10.0.0.2:${port}`, four);
    assert.match(refused!.message, /EADDRNOTAVAIL/);
    assert.equal(await outcome(`10.0.0.2:${port}`, { ...four, transparent: true }), undefined);
    const six = { namespace, transparent: true, bindTo: address('[fd07::7]:0') };
    assert.equal(await outcome(`[fd00::2]:${port}`, six), undefined);
    await until(() => sockets.length === 2);
    assert.deepEqual(
      sockets.map((socket) => socket.remoteAddress.ip),
      ['10.7.7.7', 'fd07::7'],
    );
  });

  test('a marked connection is routed by its mark', async () => {
    const { namespace } = pod;
    sh(
      `ip -n ${pod.name} route add unreachable 10.8.8.8 && ip -n ${pod.name} rule add fwmark 0x539 lookup 200`,
    );
    sh(`ip -n ${pod.name} route add prohibit 10.8.8.8 table 200`);
    assert.match((await outcome('10.8.8.8:80', { namespace }))!.message, /EHOSTUNREACH/);
    assert.match((await outcome('10.8.8.8:80', { namespace, mark: 0x539 }))!.message, /EACCES/);
  });

  test('a network that drops everything is told apart as a timeout', async () => {
    const dropping = makePod();
    sh(`ip -n ${dropping.name} addr add 10.6.6.6/32 dev lo`);
    dropping.run('iptables -A INPUT -p tcp --dport 81 -j DROP');
    const error = await outcome('10.6.6.6:81', { namespace: dropping.namespace, connectTimeoutMs: 100 });
    assert.equal(error?.code, 'AMBIT_CONNECT_TIMED_OUT');
    assert.equal(error?.retryable, true);
    const noRoute = await outcome('10.5.5.5:80', { namespace: dropping.namespace });
    assert.equal(noRoute?.code, 'AMBIT_CONNECT_UNREACHABLE');
  });

  test('where IPv6 is switched off, a listener on :: serves IPv4', async () => {
    const old = makePod();
    old.namespace.run(() => writeFileSync('/proc/sys/net/ipv6/conf/all/disable_ipv6', '1'));
    const { sockets, port } = listen('[::]:0', old.namespace);
    assert.equal(await outcome(`127.0.0.1:${port}`, { namespace: old.namespace }), undefined);
    await until(() => sockets.length === 1);
    assert.equal(sockets[0]!.remoteAddress.ip, '127.0.0.1');
  });

  test('calls inside of each other come back one by one, exceptions included', () => {
    const home = NetworkNamespace.current();
    const here = (): string => {
      const current = NetworkNamespace.current();
      current.close();
      return current.inode;
    };
    pod.namespace.run(() => {
      assert.equal(here(), pod.namespace.inode);
      assert.throws(() =>
        peer.namespace.run(() => {
          assert.equal(here(), peer.namespace.inode);
          throw new Error('thrown inside');
        }),
      );
      assert.equal(here(), pod.namespace.inode);
      home.run(() => assert.equal(here(), home.inode));
    });
    assert.equal(here(), home.inode);
    home.close();
  });

  test('a handle made of a descriptor is the same namespace, and outlives its file', () => {
    const shortLived = new PodNamespace();
    const handle = NetworkNamespace.fromFd(openSync(shortLived.path, 'r'));
    assert.equal(handle.inode, shortLived.namespace.inode);
    shortLived.close();
    assert.deepEqual(Object.keys(handle.run(networkInterfaces)), ['lo']);
    handle.close();
    assert.throws(() => handle.run(() => {}), /EBADF/);
  });

  test('the interfaces of another namespace can be listed', () => {
    const names = peer.namespace.run(networkInterfaces);
    const ips = names.veth0?.map((one) => one.address);
    assert.ok(ips?.includes('10.0.0.2') && ips.includes('fd00::2'));
  });
});
