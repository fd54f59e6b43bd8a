/** Which identities a node proxy may have certificates for, and everybody else. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '../../../../src/controlplane/ca/caller.ts';
import { NodeAuthorization } from '../../../../src/controlplane/ca/node-authorization.ts';
import { spiffeId } from '../../identity/authorities.ts';
import { CART } from './chains.ts';
import { callerFrom, TestPods } from './pods.ts';

function bench(trustedNodeAccounts?: readonly string[]) {
  const pods = new TestPods();
  const proxy = pods.add('node-1', 'ambit-system/ztunnel');
  const configured = trustedNodeAccounts === undefined ? {} : { trustedNodeAccounts };
  const authorization = new NodeAuthorization({ trustDomain: 'cluster.local', pods, ...configured });
  const ask = (caller: Caller, identity = CART) => authorization.authorize(caller, identity);
  return { pods, proxy, authorization, ask };
}

test('a node proxy may have the identity of a pod on its node', () => {
  const { pods, proxy, ask } = bench();
  pods.add('node-1', 'shop/cart');
  ask(callerFrom(proxy));
});

test('and not that of a pod on another node, of a completed pod, or of nobody', () => {
  const { pods, proxy, ask } = bench();
  const notThere = { code: 'AMBIT_IDENTITY_NOT_ON_NODE' };
  assert.throws(() => ask(callerFrom(proxy)), notThere);
  pods.add('node-2', 'shop/cart');
  pods.add('node-1', 'shop/cart', { terminal: true });
  pods.add('node-1', 'shop/orders');
  pods.add('node-1', 'other/cart');
  assert.throws(() => ask(callerFrom(proxy)), notThere);
});

test("Istio's node proxy is trusted as well, other accounts of that name are not, and the list can be changed", () => {
  const { pods, ask } = bench();
  pods.add('node-1', 'shop/cart');
  ask(callerFrom(pods.add('node-1', 'istio-system/ztunnel')));
  const impostor = pods.add('node-1', 'shop/ztunnel');
  assert.throws(() => ask(callerFrom(impostor)), { code: 'AMBIT_CALLER_NOT_NODE_PROXY' });
  const other = bench(['mesh/proxy']);
  other.pods.add('node-1', 'shop/cart');
  other.ask(callerFrom(other.pods.add('node-1', 'mesh/proxy')));
  assert.throws(() => other.ask(callerFrom(other.proxy)), { code: 'AMBIT_CALLER_NOT_NODE_PROXY' });
});

test('a node proxy whose token is bound to no pod, or to one that is not what runs, is refused', () => {
  const { pods, proxy, ask } = bench();
  pods.add('node-1', 'shop/cart');
  const caller = callerFrom(proxy);
  const unknown = { code: 'AMBIT_CALLER_POD_UNKNOWN' };
  assert.throws(() => ask({ ...caller, podName: undefined, podUid: undefined }), unknown);
  assert.throws(() => ask({ ...caller, podUid: 'uid-of-an-earlier-pod' }), unknown);
  assert.throws(() => ask({ ...caller, podName: 'another-name' }), unknown);
  assert.throws(
    () => ask({ ...caller, podUid: callerFrom(pods.add('node-1', 'shop/orders')).podUid }),
    unknown,
  );
  assert.throws(
    () => ask(callerFrom(pods.add('node-1', 'ambit-system/ztunnel', { terminal: true }))),
    unknown,
  );
});

test('everybody may have the own identity, and nobody else that of others', () => {
  const { pods, ask } = bench();
  const cart = callerFrom(pods.add('node-1', 'shop/cart'));
  pods.add('node-1', 'shop/orders');
  ask(cart);
  ask({ ...cart, podName: undefined, podUid: undefined });
  assert.throws(() => ask(cart, spiffeId('spiffe://cluster.local/ns/shop/sa/orders')), {
    code: 'AMBIT_CALLER_NOT_NODE_PROXY',
  });
});

test('another trust domain is refused to all, the own identity included', () => {
  const { pods, proxy, ask } = bench();
  const cart = pods.add('node-1', 'shop/cart');
  const foreign = spiffeId('spiffe://other.local/ns/shop/sa/cart');
  for (const caller of [proxy, cart]) {
    assert.throws(() => ask(callerFrom(caller), foreign), { code: 'AMBIT_IDENTITY_FOREIGN' });
  }
});

test('the node of a caller is known by its pod', () => {
  const { proxy, authorization } = bench();
  const caller = callerFrom(proxy);
  assert.equal(authorization.nodeOf(caller), 'node-1');
  assert.equal(authorization.nodeOf({ ...caller, podUid: 'x' }), undefined);
  assert.equal(authorization.nodeOf({ ...caller, podUid: undefined }), undefined);
});
