/** Network namespaces as handles that code can be run inside. */

/** A descriptor of a network namespace, such as /var/run/netns/… or one that came over a Unix socket. */
export declare class NetworkNamespace {
  private constructor();
  /** Opens a namespace file. @throws AMBIT_SYSTEM_CALL_FAILED */
  static open(path: string): NetworkNamespace;
  /** Takes over a descriptor, which {@link close} closes. */
  static fromFd(fd: number): NetworkNamespace;
  /** The namespace this thread is in now. */
  static current(): NetworkNamespace;
  readonly fd: number;
  /** `dev:ino`: equal for two handles exactly when they are of the same namespace. */
  readonly inode: string;
  /** Runs a synchronous function with this thread inside the namespace. A failure to return is fatal. */
  run<T>(action: () => T): T;
  close(): void;
}
