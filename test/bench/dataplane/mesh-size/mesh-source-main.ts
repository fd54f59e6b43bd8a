/** Serves a mesh of any size to one node proxy: the control plane and the agent of a node without pods. */

import { ZdsServer } from '../../../../src/cni/zds-server.ts';
import { Reactor } from '../../../../src/io/reactor.ts';
import { authorizationResource } from '../../../../src/xds/authorization-conversion.ts';
import { DeltaServer } from '../../../../src/xds/delta-server.ts';
import { GrpcServer, type ServerCredentials } from '../../../../src/xds/grpc/grpc-server.ts';
import { ADDRESS_TYPE_URL, AUTHORIZATION_TYPE_URL } from '../../../../src/xds/mesh-resources.ts';
import { ResourceCache } from '../../../../src/xds/resource-cache.ts';
import { serviceResource, workloadResource } from '../../../../src/xds/workload-conversion.ts';
import { type MeshSize, SyntheticMesh } from './synthetic-mesh.ts';

/** What the program is told, as JSON. */
export interface MeshSourcePlan {
  readonly size: MeshSize;
  readonly credentials: ServerCredentials;
  readonly zdsSocket: string;
}

async function serve({ size, credentials, zdsSocket }: MeshSourcePlan): Promise<number> {
  const mesh = new SyntheticMesh(size);
  const cache = new ResourceCache([AUTHORIZATION_TYPE_URL, ADDRESS_TYPE_URL]);
  cache.update(ADDRESS_TYPE_URL, Array.from(mesh.services(), serviceResource));
  cache.update(ADDRESS_TYPE_URL, Array.from(mesh.workloads(), workloadResource));
  cache.update(AUTHORIZATION_TYPE_URL, Array.from(mesh.policies(), authorizationResource));
  cache.markComplete();
  const grpc = new GrpcServer({ credentials });
  new DeltaServer<string>({ cache, authenticate: async () => 'node proxy' }).bindTo(grpc);
  const reactor = new Reactor();
  reactor.attachToNode();
  const workloads = { uids: () => [], get: () => undefined };
  new ZdsServer({
    reactor,
    path: zdsSocket,
    workloads,
    onSnapshotAnswer() {},
    onConnections() {},
  }).listen();
  return grpc.listen({ host: '127.0.0.1', port: 0 });
}

const port = await serve(JSON.parse(process.argv[2]!) as MeshSourcePlan);
process.stdout.write(`${port}\n`);
