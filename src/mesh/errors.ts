/** Why the mesh refuses a connection before a single byte is sent; the texts are those that Istio's users grep for. */

import { errorCatalogue } from '../base/errors.ts';

export const meshErrors = errorCatalogue({
  AMBIT_NO_HEALTHY_UPSTREAM: {
    side: 'upstream',
    hint: 'Check that the service has ready pods that serve this port, and that its traffic distribution leaves one of them to this client.',
  },
  AMBIT_UNKNOWN_WAYPOINT: {
    side: 'config',
    hint: 'The destination is bound to a waypoint that does not exist or has no ready pod; traffic never goes around it. Bring the waypoint up or remove the istio.io/use-waypoint label.',
  },
  AMBIT_UNKNOWN_NETWORK_GATEWAY: {
    side: 'config',
    hint: 'Check that the east-west gateway of the remote network is declared here and has an address.',
  },
  AMBIT_NO_VALID_DESTINATION: {
    side: 'config',
    hint: 'The chosen workload has no address of a family that the service allows, and no network gateway leads to it.',
  },
  AMBIT_IP_MISMATCH: {
    side: 'downstream',
    hint: 'The peer reached a pod other than the one it asked for; its view of the mesh may be out of date, or the address was reused.',
  },
  AMBIT_LOCAL_WORKLOAD_UNKNOWN: {
    side: 'control-plane',
    hint: 'The control plane has not described this pod yet; check that ztunnel is connected to it.',
  },
  AMBIT_UNKNOWN_HOSTNAME: {
    side: 'config',
    hint: 'Check that a service of this host name exists in this cluster.',
  },
  AMBIT_NO_PORT_FOR_SERVICE: {
    side: 'config',
    hint: 'The service does not have this port, or names a port that this pod does not declare.',
  },
  AMBIT_NO_IP_FOR_SERVICE: {
    side: 'config',
    hint: 'The application takes the PROXY protocol, which cannot carry a host name; give the service an address.',
  },
  AMBIT_SELF_CALL: {
    side: 'downstream',
    hint: 'The destination is a port of the proxy itself; a service maps to 15001, 15006 or 15008 by mistake, or somebody is probing.',
  },
});
