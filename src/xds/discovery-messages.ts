/** The messages of delta xDS: envoy.service.discovery.v3 and the node of envoy.config.core.v3. */

import { mapOf, message, optional, repeated, singular, type ValueOf } from './message-schema.ts';
import { STRUCT } from './struct-value.ts';
import { Any, Duration, Status } from './well-known-messages.ts';
import { BOOL, STRING } from './wire-type.ts';

/** Path of the one method of delta ADS. */
export const DELTA_ADS_PATH =
  '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';

/** Stands for every resource of a type in a list of names. */
export const WILDCARD = '*';

export const Locality = message('envoy.config.core.v3.Locality', {
  region: singular(1, STRING),
  zone: singular(2, STRING),
  subZone: singular(3, STRING),
});
export type Locality = ValueOf<typeof Locality>;

/** Who the client says it is. */
export const Node = message('envoy.config.core.v3.Node', {
  id: singular(1, STRING),
  cluster: singular(2, STRING),
  metadata: optional(3, STRUCT),
  locality: optional(4, Locality),
  userAgentName: singular(6, STRING),
  clientFeatures: repeated(10, STRING),
});
export type Node = ValueOf<typeof Node>;

export const DeltaDiscoveryRequest = message('envoy.service.discovery.v3.DeltaDiscoveryRequest', {
  node: optional(1, Node),
  typeUrl: singular(2, STRING),
  resourceNamesSubscribe: repeated(3, STRING),
  resourceNamesUnsubscribe: repeated(4, STRING),
  /** Name to version of what the client holds; only in the first request of a type on a stream. */
  initialResourceVersions: mapOf(5, STRING),
  responseNonce: singular(6, STRING),
  /** Set: the response with that nonce was refused, in part or whole. */
  errorDetail: optional(7, Status),
});
export type DeltaDiscoveryRequest = ValueOf<typeof DeltaDiscoveryRequest>;

export const CacheControl = message('envoy.service.discovery.v3.Resource.CacheControl', {
  doNotCache: singular(1, BOOL),
});

export const Resource = message('envoy.service.discovery.v3.Resource', {
  version: singular(1, STRING),
  resource: optional(2, Any),
  name: singular(3, STRING),
  aliases: repeated(4, STRING),
  ttl: optional(6, Duration),
  cacheControl: optional(7, CacheControl),
});
export type Resource = ValueOf<typeof Resource>;

export const DeltaDiscoveryResponse = message('envoy.service.discovery.v3.DeltaDiscoveryResponse', {
  systemVersionInfo: singular(1, STRING),
  resources: repeated(2, Resource),
  typeUrl: singular(4, STRING),
  nonce: singular(5, STRING),
  removedResources: repeated(6, STRING),
});
export type DeltaDiscoveryResponse = ValueOf<typeof DeltaDiscoveryResponse>;
