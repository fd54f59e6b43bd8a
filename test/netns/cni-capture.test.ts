/** What redirection does to traffic: real connections, from and to a pod, seen by who answers them. */

import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { test } from 'node:test';
import { parseIp } from '../../src/base/ip.ts';
import { chooseIptables, IPTABLES_FLAVOURS, type IptablesFlavour } from '../../src/cni/iptables-tools.ts';
import { podOptions } from '../../src/cni/pod-options.ts';
import { Redirection } from '../../src/cni/redirection.ts';
import { Reactor } from '../../src/io/reactor.ts';
import { type SocketOptions, TcpSocket } from '../../src/io/tcp-socket.ts';
import { UdpSocket } from '../../src/io/udp-socket.ts';
import { NativeBuffer } from '../../src/sys/native-buffer.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { PodNamespace } from '../support/pod-namespace.ts';

/** What ztunnel gives to its sockets in pods. */
const PROXY_MARK = 0x539;

interface Addresses {
  readonly pod: string;
  readonly peer: string;
  readonly excluded: string;
  readonly loopback: string;
  readonly range: string;
}

const ADDRESSES: Readonly<Record<4 | 6, Addresses>> = {
  4: { pod: '10.0.0.1', peer: '10.0.0.2', excluded: '10.9.0.2', loopback: '127.0.0.1', range: '10.9.0.0/16' },
  6: { pod: 'fd00::1', peer: 'fd00::2', excluded: 'fd09::2', loopback: '::1', range: 'fd09::/16' },
};

/** A pod and a peer on one node; servers answer with their port and whom they saw. */
class World {
  readonly reactor = new Reactor();
  readonly node = new PodNamespace();
  readonly pod = new PodNamespace();
  readonly peer = new PodNamespace();
  readonly #servers: Server[] = [];
  readonly #redirection: Redirection;

  static async make(flavour: IptablesFlavour, family: 4 | 6): Promise<World> {
    return new World(new Redirection(await chooseIptables(flavour)), ADDRESSES[family]);
  }

  private constructor(redirection: Redirection, at: Addresses) {
    this.#redirection = redirection;
    this.reactor.attachToNode();
    this.node.run(
      "sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'",
    );
    this.pod.connect(this.node, at.pod, at.pod.includes(':') ? 'fd00:a::fe' : '10.1.0.254');
    this.peer.connect(this.node, at.peer, at.pod.includes(':') ? 'fd00:b::fe' : '10.2.0.254');
    const [family, bits] = at.pod.includes(':') ? ['-6', '128 nodad'] : ['-4', '32'];
    this.peer.run(`ip addr add ${at.excluded}/${bits} dev eth0`);
    this.node.run(`ip ${family} route add ${at.excluded} dev v${this.peer.name}`);
    for (const port of [15001, 15006, 15008, 8080, 9100]) this.#serve(this.pod, port);
    for (const port of [53, 9000, 9001]) this.#serve(this.peer, port);
  }

  #serve(where: PodNamespace, port: number): void {
    const server = createServer((socket) =>
      socket.end(`${socket.localPort === port ? port : '?'} ${socket.remoteAddress?.replace('::ffff:', '')}`),
    );
    this.#servers.push(where.namespace.run(() => server.listen(port)));
  }

  redirect(annotations: Readonly<Record<string, string>> = {}): Promise<unknown> {
    return this.#redirection.ensure(this.pod.namespace, podOptions(annotations, true).options, true);
  }

  /** A connection of a socket with options of ztunnel's, made in the pod. */
  dial(ip: string, port: number, options: SocketOptions): Promise<string> {
    const buffer = new NativeBuffer(256);
    return new Promise((resolve, reject) => {
      let text = '';
      const socket = TcpSocket.connect(
        this.reactor,
        { ip: parseIp(ip)!, port },
        { ...options, namespace: this.pod.namespace, mark: PROXY_MARK },
        {
          onReadable: () => {
            let length = socket.receiveInto(buffer, 0, buffer.size);
            for (; length > 0; length = socket.receiveInto(buffer, 0, buffer.size)) {
              text += Buffer.from(buffer.bytes.subarray(0, length)).toString();
            }
            if (length !== 0) return;
            socket.close();
            resolve(text);
          },
          onWritable() {},
          onClosed: (error) => error && reject(error),
        },
      );
    });
  }

  close(): void {
    for (const server of this.#servers) server.close();
    this.reactor.close();
    for (const pod of [this.pod, this.peer, this.node]) pod.close();
  }
}

async function portOf(answer: Promise<string>): Promise<string> {
  return (await answer).split(' ')[0]!;
}

inOwnNamespaces(import.meta.filename, () => {
  for (const flavour of IPTABLES_FLAVOURS) {
    for (const family of [4, 6] as const) {
      const at = ADDRESSES[family];
      const title = (what: string) => `${flavour}, IPv${family}: ${what}`;
      const withWorld = async (use: (world: World) => Promise<void>) => {
        const world = await World.make(flavour, family);
        try {
          await use(world);
        } finally {
          world.close();
        }
      };

      test(title('what the application sends and gets goes by ztunnel, what ztunnel sends does not'), () =>
        withWorld(async (world) => {
          const { pod, peer } = world;
          assert.equal(await portOf(pod.read(at.peer, 9001)), '9001');
          assert.equal(await portOf(peer.read(at.pod, 8080)), '8080');
          await world.redirect();
          assert.equal(await portOf(pod.read(at.peer, 9001)), '15001');
          assert.equal(await portOf(peer.read(at.pod, 8080)), '15006');
          assert.equal(await portOf(peer.read(at.pod, 15008)), '15008');
          assert.equal(await portOf(world.dial(at.peer, 9001, {})), '9001');
        }),
      );

      test(title('the application reaches itself, on loopback and by its own address'), () =>
        withWorld(async (world) => {
          await world.redirect();
          assert.equal(await portOf(world.pod.read(at.loopback, 8080)), '8080');
          assert.equal(await portOf(world.pod.read(at.pod, 8080)), '8080');
        }),
      );

      test(title('ztunnel reaches the application under its peer’s address, and the replies find back'), () =>
        withWorld(async (world) => {
          await world.redirect();
          const bindTo = { ip: parseIp(at.peer)!, port: 0 };
          assert.equal(await world.dial(at.pod, 8080, { transparent: true, bindTo }), `8080 ${at.peer}`);
        }),
      );

      test(title('DNS goes to ztunnel’s resolver, over UDP and TCP'), () =>
        withWorld(async (world) => {
          await world.redirect();
          const resolver = UdpSocket.bind(
            world.reactor,
            { ip: parseIp(at.loopback)!, port: 15053 },
            { namespace: world.pod.namespace },
            (data, from) => void resolver.send(Buffer.concat([Buffer.from('captured '), data]), from),
          );
          const query = `exec 3<>/dev/udp/${at.peer}/53 && printf question >&3 && timeout 5 head -c 17 <&3`;
          assert.equal(await world.pod.runAsync(query), 'captured question');
          await assert.rejects(world.pod.read(at.peer, 53), /refused/);
          resolver.close();
        }),
      );

      test(title('what a pod excludes is left alone, the rest is not'), () =>
        withWorld(async (world) => {
          const { pod, peer } = world;
          await world.redirect({
            'traffic.sidecar.istio.io/excludeOutboundPorts': '9000,53',
            'traffic.sidecar.istio.io/excludeInboundPorts': '9100',
            'traffic.sidecar.istio.io/excludeOutboundIPRanges': at.range,
          });
          assert.equal(await portOf(pod.read(at.peer, 9000)), '9000');
          assert.equal(await portOf(pod.read(at.peer, 53)), '53');
          assert.equal(await portOf(pod.read(at.peer, 9001)), '15001');
          assert.equal(await portOf(pod.read(at.excluded, 9001)), '9001');
          assert.equal(await portOf(peer.read(at.pod, 9100)), '9100');
          assert.equal(await portOf(peer.read(at.pod, 8080)), '15006');
        }),
      );

      test(title('an ingress gateway is captured outbound only, and still gets its replies'), () =>
        withWorld(async (world) => {
          await world.redirect({ 'ambient.istio.io/bypass-inbound-capture': 'true' });
          assert.equal(await world.peer.read(at.pod, 8080), `8080 ${at.peer}`);
          assert.equal(await portOf(world.pod.read(at.peer, 9001)), '15001');
          const bindTo = { ip: parseIp(at.peer)!, port: 0 };
          assert.equal(await world.dial(at.pod, 8080, { transparent: true, bindTo }), `8080 ${at.peer}`);
        }),
      );
    }
  }
});
