/** Redirection in real network namespaces, by real iptables of both flavours and families. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import type { AmbitError } from '../../src/base/errors.ts';
import { Cidr } from '../../src/base/ip.ts';
import { parseIptablesSave } from '../../src/cni/iptables-save.ts';
import { chooseIptables, IPTABLES_FLAVOURS } from '../../src/cni/iptables-tools.ts';
import { ipv6Facts } from '../../src/cni/namespace-facts.ts';
import { formatFinding } from '../../src/cni/namespace-rules.ts';
import { Redirection } from '../../src/cni/redirection.ts';
import { type RedirectionOptions, redirectionRules } from '../../src/cni/redirection-rules.ts';
import { ruleDifferences } from '../../src/cni/rule-transition.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { PodNamespace } from '../support/pod-namespace.ts';

const DEFAULTS: RedirectionOptions = {
  dnsCapture: true,
  inboundCapture: true,
  virtualInterfaces: [],
  excludedOutboundPorts: [],
  excludedInboundPorts: [],
  excludedOutboundRanges: [],
};
const OWNED = ['ISTIO_PRERT', 'ISTIO_OUTPUT'];

const anyOptions: fc.Arbitrary<RedirectionOptions> = fc.record({
  dnsCapture: fc.boolean(),
  inboundCapture: fc.boolean(),
  virtualInterfaces: fc.uniqueArray(fc.constantFrom('br0', 'vnet+', 'a.b-c_d'), { maxLength: 2 }),
  excludedOutboundPorts: fc.uniqueArray(fc.integer({ min: 1, max: 65535 }), { maxLength: 3 }),
  excludedInboundPorts: fc.uniqueArray(fc.integer({ min: 1, max: 14999 }), { maxLength: 3 }),
  excludedOutboundRanges: fc.array(
    fc
      .oneof(
        fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })),
        fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })),
      )
      .map(([ip, length]) => Cidr.parse(`${ip}/${length}`))
      .filter((range) => range !== undefined),
    { maxLength: 3 },
  ),
});

async function withPod(use: (pod: PodNamespace) => Promise<void>): Promise<void> {
  const pod = new PodNamespace();
  try {
    await use(pod);
  } finally {
    pod.close();
  }
}

function savedIn(pod: PodNamespace, flavour: string, family: 4 | 6) {
  return parseIptablesSave(pod.run(`${family === 4 ? 'iptables' : 'ip6tables'}-${flavour}-save 2>/dev/null`));
}

inOwnNamespaces(import.meta.filename, () => {
  for (const flavour of IPTABLES_FLAVOURS) {
    test(`${flavour}: a fresh namespace gets every rule, and removal leaves no trace`, () =>
      withPod(async (pod) => {
        const before = pod.fingerprint();
        const redirection = new Redirection(await chooseIptables(flavour));
        assert.deepEqual((await redirection.ensure(pod.namespace, DEFAULTS, true)).findings, []);
        for (const family of [4, 6] as const) {
          const saved = savedIn(pod, flavour, family);
          assert.deepEqual(ruleDifferences(saved, redirectionRules(DEFAULTS, family), OWNED), []);
          assert.match(pod.run(`ip -${family} rule`), /32764:\s+from all fwmark 0x111\/0xfff lookup 100/);
          assert.match(pod.run(`ip -${family} route show table 100`), /^local default dev lo/);
        }
        assert.deepEqual(await redirection.verify(pod.namespace, DEFAULTS), []);
        assert.equal(await redirection.remove(pod.namespace), true);
        assert.equal(pod.fingerprint(), before);
        assert.equal(await redirection.remove(pod.namespace), false);
      }));

    test(`${flavour}: rules that are in force already are not touched`, () =>
      withPod(async (pod) => {
        const redirection = new Redirection(await chooseIptables(flavour));
        await redirection.ensure(pod.namespace, DEFAULTS, true);
        pod.run('ping -c 1 -W 1 127.0.0.1 >/dev/null 2>&1 || true');
        const counters = pod.run(`iptables-${flavour}-save -c -t mangle`).replace(/^#.*$/gm, '');
        assert.deepEqual((await redirection.ensure(pod.namespace, DEFAULTS, false)).findings, []);
        assert.equal(pod.run(`iptables-${flavour}-save -c -t mangle`).replace(/^#.*$/gm, ''), counters);
      }));

    test(`${flavour}: whatever somebody breaks is found, named and repaired, and rules of others stay`, () =>
      withPod(async (pod) => {
        const redirection = new Redirection(await chooseIptables(flavour));
        const own = pod.fingerprint();
        pod.run(
          `iptables-${flavour} -t nat -A OUTPUT -d 10.1.0.0/16 -m comment --comment "mine -j ISTIO_OUTPUT" -j ACCEPT`,
        );
        const foreign = pod.fingerprint();
        await redirection.ensure(pod.namespace, DEFAULTS, false);
        for (const [damage, finding] of [
          [`iptables-${flavour} -t nat -F`, 'IPv4 nat PREROUTING: missing-jump (-j ISTIO_PRERT)'],
          [`iptables-${flavour} -t nat -F ISTIO_OUTPUT`, 'missing-rule (! -d 127.0.0.1/32 -p tcp'],
          [`iptables-${flavour} -t nat -A OUTPUT -j ISTIO_OUTPUT`, 'IPv4 nat OUTPUT: extra-jump'],
          [
            `iptables-${flavour} -t nat -I ISTIO_OUTPUT -j ACCEPT`,
            'IPv4 nat ISTIO_OUTPUT: extra-rule (-j ACCEPT)',
          ],
          [
            `ip6tables-${flavour} -t mangle -D PREROUTING -j ISTIO_PRERT`,
            'IPv6 mangle PREROUTING: missing-jump',
          ],
          ['ip rule del pref 32764', 'IPv4: missing-policy-rule'],
          ['ip -6 route flush table 100', 'IPv6: missing-return-route'],
        ] as const) {
          pod.run(damage);
          const { findings } = await redirection.ensure(pod.namespace, DEFAULTS, false);
          const found = findings.map(formatFinding);
          assert.ok(
            found.some((text) => text.includes(finding)),
            `${damage}: ${found.join('; ')}`,
          );
          assert.deepEqual(await redirection.verify(pod.namespace, DEFAULTS), []);
        }
        pod.run(
          `iptables-${flavour} -t nat -A OUTPUT -d 10.1.0.0/16 -m comment --comment "mine -j ISTIO_OUTPUT" -j ACCEPT`,
        );
        await redirection.remove(pod.namespace);
        assert.equal(pod.fingerprint(), foreign);
        assert.notEqual(foreign, own);
      }));

    test(`${flavour}: any options can be put in force, changed and verified`, () =>
      withPod(async (pod) => {
        const redirection = new Redirection(await chooseIptables(flavour));
        await fc.assert(
          fc.asyncProperty(anyOptions, async (options) => {
            await redirection.ensure(pod.namespace, options, false);
            assert.deepEqual(await redirection.verify(pod.namespace, options), []);
          }),
          { numRuns: 15 },
        );
      }));

    test(`${flavour}: nobody who looks while the rules change sees half of them`, () =>
      withPod(async (pod) => {
        const redirection = new Redirection(await chooseIptables(flavour));
        const [one, other] = [DEFAULTS, { ...DEFAULTS, excludedOutboundPorts: [1, 2, 3, 4, 5, 6, 7, 8] }];
        await redirection.ensure(pod.namespace, one, true);
        let changes = 0;
        const changing = (async () => {
          for (; changes < 20; changes++) {
            await redirection.ensure(pod.namespace, changes % 2 === 0 ? other : one, false);
            await delay(1);
          }
        })();
        const seen = new Set<string>();
        while (changes < 20) {
          const nat = savedIn(pod, flavour, 4).get('nat')!;
          assert.deepEqual(
            [nat.get('OUTPUT'), nat.get('PREROUTING')],
            [['-j ISTIO_OUTPUT'], ['-j ISTIO_PRERT']],
          );
          seen.add(`${nat.get('ISTIO_OUTPUT')!.length}/${nat.get('ISTIO_PRERT')!.length}`);
          await delay(0);
        }
        await changing;
        assert.deepEqual(
          [...seen].filter((lengths) => lengths !== '6/2' && lengths !== '14/2'),
          [],
        );
      }));

    test(`${flavour}: a namespace without IPv6 gets IPv4 rules only`, () =>
      withPod(async (pod) => {
        const redirection = new Redirection(await chooseIptables(flavour));
        pod.run("sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6'");
        assert.deepEqual(ipv6Facts(pod.namespace), { isKnown: true, inUse: false, onLoopback: false });
        const before = pod.fingerprint();
        await redirection.ensure(pod.namespace, DEFAULTS, true);
        assert.equal(savedIn(pod, flavour, 6).size, 0);
        await redirection.remove(pod.namespace);
        assert.equal(pod.fingerprint(), before);
      }));

    test(`${flavour}: loopback without IPv6 gets no local IPv6 route`, () =>
      withPod(async (pod) => {
        const redirection = new Redirection(await chooseIptables(flavour));
        const node = new PodNamespace();
        pod.connect(node, '10.0.0.1', '10.0.0.254');
        pod.run("sh -c 'echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6'");
        await redirection.ensure(pod.namespace, DEFAULTS, true);
        assert.equal(pod.run('ip -6 route show table 100 2>/dev/null || true'), '');
        assert.deepEqual(await redirection.verify(pod.namespace, DEFAULTS), []);
        node.close();
      }));
  }

  test('rules of others that let traffic past ours are told of, and left alone', () =>
    withPod(async (pod) => {
      const redirection = new Redirection(await chooseIptables('nft'));
      await redirection.ensure(pod.namespace, DEFAULTS, true);
      pod.run('iptables-nft -t nat -I OUTPUT -p tcp --dport 443 -j ACCEPT');
      pod.run('ip6tables-nft -t nat -A OUTPUT -j ACCEPT');
      const outcome = await redirection.ensure(pod.namespace, DEFAULTS, false);
      assert.deepEqual(outcome, {
        findings: [],
        hasProxy: false,
        bypasses: ['nat OUTPUT: -p tcp -m tcp --dport 443 -j ACCEPT'],
      });
    }));

  test('a lock that another program holds is waited for', () =>
    withPod(async (pod) => {
      const redirection = new Redirection(await chooseIptables('legacy'));
      const holder = spawn('flock', ['/run/xtables.lock', 'sleep', '0.5']);
      await once(holder, 'spawn');
      await redirection.ensure(pod.namespace, DEFAULTS, true);
      assert.deepEqual(await redirection.verify(pod.namespace, DEFAULTS), []);
    }));

  test('rules left behind in the other flavour are taken away when a pod is adopted', () =>
    withPod(async (pod) => {
      const [nft, legacy] = [await chooseIptables('nft'), await chooseIptables('legacy')];
      const fresh = pod.fingerprint();
      await new Redirection(legacy).ensure(pod.namespace, DEFAULTS, true);
      const { findings } = await new Redirection(nft).ensure(pod.namespace, DEFAULTS, false);
      assert.ok(findings.some((finding) => finding.kind === 'missing-chain'));
      assert.equal(savedIn(pod, 'legacy', 4).get('nat')?.has('ISTIO_OUTPUT'), false);
      assert.deepEqual(await new Redirection(nft).verify(pod.namespace, DEFAULTS), []);
      await new Redirection(legacy).remove(pod.namespace);
      assert.equal(pod.fingerprint(), fresh);
    }));

  test('the flavour is the one that the node uses, and the operator has the last word', () =>
    withPod(async (host) => {
      const flavour = async (asked?: string) =>
        (await chooseIptables(asked, host.namespace)).preferred.flavour;
      assert.equal(await flavour(), 'nft');
      host.run('iptables-legacy -t filter -A INPUT -s 10.99.0.1 -j ACCEPT');
      assert.equal(await flavour(), 'legacy');
      host.run('iptables-nft -t mangle -N KUBE-IPTABLES-HINT');
      assert.equal(await flavour(), 'nft');
      assert.equal(await flavour('legacy'), 'legacy');
      await assert.rejects(
        flavour('ipchains'),
        (thrown: AmbitError) => thrown.code === 'AMBIT_CNI_CONFIG_INVALID',
      );
    }));

  test('a namespace that is gone is an error with a code, not a crash', async () => {
    const pod = new PodNamespace();
    const redirection = new Redirection(await chooseIptables('nft'));
    pod.close();
    await assert.rejects(
      redirection.ensure(pod.namespace, DEFAULTS, true),
      (thrown: AmbitError) => thrown.code === 'AMBIT_SYSTEM_CALL_FAILED',
    );
  });
});
