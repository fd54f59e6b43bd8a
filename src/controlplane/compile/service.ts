/** Turns a Kubernetes Service into a service of the mesh. */

import { parseIp } from '../../base/ip.ts';
import type { IpFamilies, Service as MeshService, ServiceAddress, ServicePort } from '../../mesh/service.ts';
import type { Service } from '../../objects/core-types.ts';
import { appProtocolOf } from './app-protocol.ts';
import type { DesiredCondition } from './desired-condition.ts';
import { ingressUsesWaypoint } from './ingress.ts';
import { networkOf } from './network.ts';
import type { CompileContext } from './object-lookup.ts';
import { isTcp } from './port-mapping.ts';
import { hostnameOfService, isMeshService } from './service-hosts.ts';
import { loadBalancingOfService, visibilityOfService } from './traffic-policy.ts';
import { bindWaypoint } from './waypoint-binding.ts';

export interface CompiledService {
  readonly service?: MeshService;
  readonly conditions: readonly DesiredCondition[];
}

export function compileService(context: CompileContext, service: Service): CompiledService {
  if (!isMeshService(service)) return { conditions: [] };
  const { visibility, exported, condition: visible } = visibilityOfService(service);
  const binding = bindWaypoint(context, service.metadata, 'service');
  const conditions = [binding.condition, visible].filter((one) => one !== undefined);
  if (!exported) return { conditions };
  const loadBalancing = loadBalancingOfService(context, service);
  const { name, namespace } = service.metadata;
  const compiled: MeshService = {
    name,
    namespace,
    hostname: hostnameOfService(context, service),
    addresses: addressesOf(context, service),
    ports: portsOf(service),
    subjectAltNames: [],
    ...(binding.waypoint === undefined ? {} : { waypoint: binding.waypoint }),
    ...(loadBalancing === undefined ? {} : { loadBalancing }),
    ipFamilies: familiesOf(service),
    extensions: [],
    canonical: true,
    ingressUseWaypoint: ingressUsesWaypoint(context, service.metadata),
    weightedWaypoints: binding.weightedWaypoints,
    visibility,
  };
  return { service: compiled, conditions };
}

/** A headless service has none (`None`): its clients dial the pods. */
function addressesOf(context: CompileContext, { spec }: Service): readonly ServiceAddress[] {
  const texts = [...(spec?.clusterIP === undefined ? [] : [spec.clusterIP]), ...(spec?.clusterIPs ?? [])];
  const network = networkOf(context);
  return [...new Set(texts.map(parseIp))].flatMap((ip) => (ip === undefined ? [] : { network, ip }));
}

function portsOf({ spec }: Service): readonly ServicePort[] {
  return (spec?.ports ?? []).filter(isTcp).map(({ port, targetPort, name, appProtocol }) => ({
    servicePort: port,
    targetPort: typeof targetPort === 'string' ? 0 : (targetPort ?? port),
    appProtocol: appProtocolOf(name, appProtocol),
  }));
}

function familiesOf({ spec }: Service): IpFamilies {
  const families = spec?.ipFamilies ?? [];
  if (families.length === 0) return 'AUTOMATIC';
  if (families.length > 1) return 'DUAL';
  return families[0] === 'IPv6' ? 'IPV6_ONLY' : 'IPV4_ONLY';
}
