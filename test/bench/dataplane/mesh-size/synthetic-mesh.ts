/** A mesh of any size, as a control plane would describe it: services in namespaces, their pods, and policies. */

import { type IpAddress, parseIp } from '../../../../src/base/ip.ts';
import type { Authorization } from '../../../../src/mesh/authorization.ts';
import type { Service } from '../../../../src/mesh/service.ts';
import type { Workload } from '../../../../src/mesh/workload.ts';
import { backs, policy, ports, rule, service, text, vip, workload } from '../../../unit/mesh/builders.ts';

export interface MeshSize {
  readonly workloads: number;
  readonly services: number;
  readonly policies: number;
}

const NAMESPACES = 100;
/** Prime: names of pods do not follow their numbers. */
const NAME_STEP = 7_368_787;
const ZONES = ['a', 'b', 'c'];

export class SyntheticMesh {
  readonly size: MeshSize;

  constructor(size: MeshSize) {
    this.size = size;
  }

  *workloads(): Generator<Workload> {
    for (let i = 0; i < this.size.workloads; i++) yield this.#workload(i);
  }

  *services(): Generator<Service> {
    for (let i = 0; i < this.size.services; i++) yield this.#service(i);
  }

  /** Of ten policies eight are for a namespace, one for pods that name it, one denies somebody in the whole mesh. */
  *policies(): Generator<Authorization> {
    for (let i = 0; i < this.size.policies; i++) yield this.#policy(i);
  }

  vipOf(index: number): IpAddress {
    return address(172, index % this.size.services);
  }

  addressOf(index: number): IpAddress {
    return address(10, index % this.size.workloads);
  }

  #workload(i: number): Workload {
    const at = i % this.size.services;
    const namespace = namespaceOf(at);
    const app = appOf(at);
    const suffix = ((i * NAME_STEP) % 2 ** 25).toString(36).padStart(5, 'x');
    const name = `${app}-7d9f8b6c5d-${suffix}`;
    return workload({
      name,
      namespace,
      uid: `Kubernetes//Pod/${namespace}/${name}-${i}`,
      addresses: [this.addressOf(i)],
      serviceAccount: app,
      node: `ip-10-0-${i % 250}-${i % 40}.eu-central-1.compute.internal`,
      canonicalName: app,
      workloadType: 'DEPLOYMENT',
      workloadName: app,
      services: backs([`${namespace}/${hostnameOf(at)}`, [80, 8080], [9090, 9090]]),
      authorizationPolicies: this.#selecting(i),
      locality: { region: 'eu-central-1', zone: `eu-central-1${ZONES[i % 3]}`, subzone: '' },
    });
  }

  #service(i: number): Service {
    return service({
      name: appOf(i),
      namespace: namespaceOf(i),
      hostname: hostnameOf(i),
      addresses: [vip(this.vipOf(i))],
      ports: ports([80, 8080], [9090, 9090]),
    });
  }

  /** Every policy of the ninth kind selects the pods of one service. */
  #selecting(i: number): readonly string[] {
    const at = (i % this.size.services) * 10 + 8;
    return at < this.size.policies ? [`${namespaceOf(i % this.size.services)}/policy-${at}`] : [];
  }

  #policy(i: number): Authorization {
    const name = `policy-${i}`;
    const kind = i % 10;
    const at = Math.floor(i / 10);
    const client = (namespace: string, app: string) => text(`cluster.local/ns/${namespace}/sa/${app}`);
    if (kind === 9) {
      const principals = [client('outside', `somebody-${i}`)];
      return policy({
        name,
        namespace: 'ambit-system',
        scope: 'GLOBAL',
        action: 'DENY',
        rules: [rule([{ principals }])],
      });
    }
    const namespace = kind === 8 ? namespaceOf(at) : namespaceOf(i);
    const principals = [0, 1, 2].map((step) =>
      client(namespaceOf(i + step), appOf((i + step) % this.size.services)),
    );
    const scope = kind === 8 ? 'WORKLOAD_SELECTOR' : 'NAMESPACE';
    return policy({
      name,
      namespace,
      scope,
      rules: [rule([{ principals }], [{ destinationPorts: [8080] }])],
    });
  }
}

function namespaceOf(service: number): string {
  return `team-${service % NAMESPACES}`;
}

function appOf(service: number): string {
  return `application-${service}`;
}

function hostnameOf(service: number): string {
  return `${appOf(service)}.${namespaceOf(service)}.svc.cluster.local`;
}

/** The address number `index` of a block of a million. */
function address(first: number, index: number): IpAddress {
  const low = index + 1;
  const second = (first === 172 ? 16 : 0) + (low >> 16);
  return parseIp(`${first}.${second}.${(low >> 8) & 255}.${low & 255}`)!;
}
