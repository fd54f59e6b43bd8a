/** The one program: sends each process and each command to its own module, importing nothing that it does not need. */

type Run = (argv: readonly string[]) => Promise<void>;

/** Processes and command groups that have a module of their own; every other word is a command people type. */
const PROCESSES: Readonly<Record<string, () => Promise<Run>>> = {
  ztunnel: async () => (await import('./ztunnel/main.ts')).runZtunnel,
  cni: async () => (await import('./cni/command.ts')).runCni,
  controlplane: async () => (await import('./controlplane/command.ts')).runControlplane,
  sandbox: async () => (await import('./sandbox/command.ts')).runSandbox,
  packets: async () => (await import('./sandbox/packets/command.ts')).runPackets,
  echo: async () => (await import('./sandbox/echo/command.ts')).runEcho,
};

async function main(argv: readonly string[]): Promise<void> {
  const load = PROCESSES[argv[0] ?? ''];
  if (load !== undefined) return (await load())(argv.slice(1));
  const { runCli } = await import('./cli/program.ts');
  return runCli(argv);
}

await main(process.argv.slice(2));
