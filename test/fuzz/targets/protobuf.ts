/** Protobuf: every message that a peer may send, and the resources that are made of them. */

import assert from 'node:assert/strict';
import { Cidr } from '../../../src/base/ip.ts';
import { readAnswer, readHello } from '../../../src/cni/zds-packets.ts';
import { decodeAuthorization, encodeAuthorization } from '../../../src/xds/authorization-conversion.ts';
import * as authorization from '../../../src/xds/authorization-messages.ts';
import * as certificate from '../../../src/xds/certificate-messages.ts';
import * as discovery from '../../../src/xds/discovery-messages.ts';
import { MessageAssembler } from '../../../src/xds/grpc/message-framing.ts';
import * as wellKnown from '../../../src/xds/well-known-messages.ts';
import { decodeAddress, encodeService, encodeWorkload } from '../../../src/xds/workload-conversion.ts';
import * as workload from '../../../src/xds/workload-messages.ts';
import * as zds from '../../../src/xds/zds-messages.ts';
import { denyPolicy } from '../../support/deny-policy.ts';
import { serviceOf, workloadOf } from '../../support/mesh-node.ts';
import { documented, type FuzzTarget, magnitude } from '../fuzz-target.ts';

interface Message {
  readonly typeName: string;
  readonly decode: (bytes: Uint8Array) => unknown;
  readonly encode: (value: never) => Uint8Array;
}

const MESSAGES: readonly Message[] = [
  authorization.Authorization,
  workload.Address,
  discovery.DeltaDiscoveryRequest,
  discovery.DeltaDiscoveryResponse,
  certificate.IstioCertificateRequest,
  certificate.IstioCertificateResponse,
  zds.ZdsHello,
  zds.WorkloadRequest,
  zds.WorkloadResponse,
  wellKnown.Status,
  wellKnown.BadRequest,
];

const pod = {
  name: 'cart',
  namespace: 'shop',
  serviceAccount: 'cart',
  addresses: ['10.0.0.1', 'fd00::1'],
  path: '',
};
const WORKLOAD = encodeWorkload(
  workloadOf(pod, { services: new Map([['shop/cart.shop.svc', [{ servicePort: 80, targetPort: 8080 }]]]) }),
);
const SERVICE = encodeService(serviceOf('cart', 'shop', ['10.96.0.1', 'fd00:96::1'], { 80: 8080 }));
const POLICY = encodeAuthorization(
  denyPolicy('shop', 'deny', {
    principals: [{ kind: 'suffix', value: '/sa/cart' }],
    notSourceIps: [Cidr.parse('10.0.0.0/8')!],
    destinationPorts: [80],
  }),
);
const REQUEST = discovery.DeltaDiscoveryRequest.encode({
  typeUrl: 'type.googleapis.com/istio.workload.Address',
  resourceNamesSubscribe: ['*'],
  responseNonce: 'a',
});
const HELLO = zds.ZdsHello.encode({ version: 1 });
const ADD = zds.WorkloadRequest.encode({
  payload: {
    kind: 'add',
    value: { uid: 'u', workloadInfo: { name: 'cart', namespace: 'shop', serviceAccount: 'cart' } },
  },
});
const ACK = zds.WorkloadResponse.encode({ payload: { kind: 'ack', value: { error: 'no' } } });

/** The first byte chooses the message. */
function ofType(type: Message, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from([MESSAGES.indexOf(type)]), bytes]);
}

/** What was understood is written in one way, which is understood as the same. */
export const protobufTarget: FuzzTarget = {
  name: 'protobuf',
  seeds: () => [
    ofType(workload.Address, WORKLOAD),
    ofType(workload.Address, SERVICE),
    ofType(authorization.Authorization, POLICY),
    ofType(discovery.DeltaDiscoveryRequest, REQUEST),
    ofType(zds.WorkloadRequest, ADD),
    ofType(zds.WorkloadResponse, ACK),
  ],
  run: (input) => {
    const type = MESSAGES[(input[0] ?? 0) % MESSAGES.length]!;
    return documented(() => {
      const bytes = type.encode(type.decode(input.subarray(1)) as never);
      const again = type.encode(type.decode(bytes) as never);
      assert.deepEqual(again, bytes);
      return `${type.typeName} ${magnitude(bytes.length)}`;
    });
  },
};

/** Workloads, services and policies as a proxy takes them from a control plane. */
export const resourceTarget: FuzzTarget = {
  name: 'mesh-resources',
  seeds: () => [WORKLOAD, SERVICE, POLICY],
  run: (input) => {
    const address = documented(() => {
      const found = decodeAddress(input);
      const bytes = found.kind === 'workload' ? encodeWorkload(found.workload) : encodeService(found.service);
      assert.deepEqual(decodeAddress(bytes), found);
      return `${found.kind} ${magnitude(bytes.length)}`;
    });
    const policy = documented(() => {
      const found = decodeAuthorization(input);
      assert.deepEqual(decodeAuthorization(encodeAuthorization(found)), found);
      return `${found.action} ${found.scope} ${magnitude(found.rules.length)}`;
    });
    return `${address} ${policy}`;
  },
};

/** Packets of ZDS as the node agent reads them. */
export const zdsTarget: FuzzTarget = {
  name: 'zds',
  seeds: () => [
    HELLO,
    ACK,
    zds.WorkloadResponse.encode({ payload: { kind: 'ack', value: { error: '' } } }),
    ADD,
  ],
  run: (input) => {
    const hello = documented(() => {
      readHello(input);
      return 'hello';
    });
    return `${hello} ${documented(() => (readAnswer(input) === undefined ? 'good' : 'bad'))}`;
  },
};

const MAX_GRPC_BYTES = 1000;

/** Messages of gRPC, however they are cut. */
export const grpcTarget: FuzzTarget = {
  name: 'grpc-framing',
  seeds: () => [
    Buffer.concat([Buffer.from([0, 0, 0, 0, REQUEST.length]), REQUEST, Buffer.from([0, 0, 0, 0, 0])]),
  ],
  run: (input) => {
    const whole = assemble(input, input.length || 1);
    for (const length of [1, 7]) assert.deepEqual(assemble(input, length), whole);
    return whole
      .map((line) => line.replaceAll(/[0-9a-f]{8,}/g, 'x'))
      .join()
      .slice(0, 100);
  },
};

function assemble(input: Uint8Array, pieceLength: number): readonly string[] {
  const assembler = new MessageAssembler(MAX_GRPC_BYTES);
  const messages: string[] = [];
  const end = documented(() => {
    for (let at = 0; at < input.length; at += pieceLength) {
      for (const one of assembler.push(input.subarray(at, at + pieceLength))) {
        assert.ok(one.length <= MAX_GRPC_BYTES);
        messages.push(Buffer.from(one).toString('hex'));
      }
    }
    return String(assembler.atBoundary);
  });
  return [...messages, end];
}
