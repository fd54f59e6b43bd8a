/** What `ambit sandbox env` tells: of every part of a sandbox, where it is and how to get at it. */

/** A process; the daemon tells numbers inside the sandbox, `env` those of the machine. */
export interface ProcessFacts {
  readonly pid: number;
  /** The network namespace: `/proc/PID/ns/net`. */
  readonly netns: string;
  /** To be put before a command that is to run where this process runs. */
  readonly enter: readonly string[];
}

export interface MeshProcessFacts extends Partial<ProcessFacts> {
  readonly pod: string;
  readonly log: string;
  readonly restarts: number;
}

export interface ZtunnelFacts extends MeshProcessFacts {
  readonly ip: string;
  /** On the loopback of its node. */
  readonly adminPort: number;
  /** The same for those outside: a Unix socket that leads to it. */
  readonly adminSocket: string;
  readonly metricsPort: number;
  readonly readinessPort: number;
  readonly workingDirectory: string;
  readonly tokenFile: string;
  readonly rootFile: string;
}

export interface CniFacts extends MeshProcessFacts {
  readonly zdsSocket: string;
  readonly pluginSocket: string;
  readonly healthPort: number;
  readonly metricsPort: number;
}

export interface NodeFacts extends ProcessFacts {
  readonly name: string;
  readonly ips: readonly string[];
  readonly podCidrs: readonly string[];
  readonly netnsFolder: string;
  readonly cni?: CniFacts;
  readonly ztunnel?: ZtunnelFacts;
}

export interface ContainerFacts {
  readonly name: string;
  readonly log: string;
  readonly pid?: number;
}

export interface PodFacts extends Partial<ProcessFacts> {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly node: string;
  readonly ips: readonly string[];
  readonly containers: readonly ContainerFacts[];
}

export interface ControlPlaneFacts {
  /** As ztunnel is given it. */
  readonly address: string;
  readonly rootFile: string;
  readonly clusterId: string;
  readonly trustDomain: string;
  /** Absent when the control plane is somebody else's. */
  readonly process?: MeshProcessFacts & {
    readonly ip: string;
    readonly xdsPort: number;
    readonly httpPort: number;
    readonly authorityFolder: string;
    readonly tokenKeyFile: string;
  };
}

export interface Environment {
  readonly name: string;
  readonly state: string;
  readonly socket: string;
  readonly objects: string;
  readonly logs: string;
  readonly daemon: ProcessFacts;
  readonly network: {
    readonly clusterDomain: string;
    readonly dns: readonly string[];
    readonly lanCidrs: readonly string[];
    readonly podCidrs: readonly string[];
    readonly serviceCidrs: readonly string[];
  };
  readonly controlPlane?: ControlPlaneFacts;
  readonly nodes: readonly NodeFacts[];
  readonly pods: readonly PodFacts[];
}
