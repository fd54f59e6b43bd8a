/** The executable on the host: whole, repaired, replaced by the next version, and gone when it is removed. */

import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeLauncher } from '../../../../src/cni/install/launcher.ts';
import { PluginExecutable } from '../../../../src/cni/install/plugin-executable.ts';
import { ownRuntimeFiles, parseListing } from '../../../../src/cni/install/runtime-files.ts';
import { InstalledPlugin } from '../../../support/installed-plugin.ts';

const plugin = new InstalledPlugin();
after(() => plugin.close());

async function answers(): Promise<boolean> {
  const { status, output } = await plugin.run({ CNI_COMMAND: 'VERSION' }, {});
  return status === 0 && output.includes('supportedVersions');
}

function folders(): string[] {
  return readdirSync(plugin.binDir).filter((name) => name.startsWith('.ambit-cni-'));
}

test('whatever is missing or cut off is put back', async () => {
  assert.equal(await plugin.executable.ensure(), true);
  assert.ok(await answers());
  assert.equal(await plugin.executable.ensure(), false);
  const folder = join(plugin.binDir, folders()[0]!);
  const damages = [
    () => rmSync(plugin.path),
    () => writeFileSync(plugin.path, 'something else'),
    () => chmodSync(plugin.path, 0o644),
    () => rmSync(folder, { recursive: true }),
    () => rmSync(join(folder, 'main.mjs')),
    () => truncateSync(join(folder, 'node'), 4096),
  ];
  for (const damage of damages) {
    damage();
    assert.equal(await plugin.executable.ensure(), true, String(damage));
    assert.ok(await answers(), String(damage));
    assert.equal(await plugin.executable.ensure(), false);
  }
});

test('a launcher whose folder is gone says so in the form of a CNI error', async () => {
  await plugin.executable.ensure();
  rmSync(join(plugin.binDir, folders()[0]!), { recursive: true });
  const { status, output } = await plugin.run({ CNI_COMMAND: 'ADD' }, {});
  assert.equal(status, 1);
  assert.deepEqual([JSON.parse(output).code, /repairs/.test(JSON.parse(output).msg)], [11, true]);
});

test('the next version lies beside the old one until it has been in place for a while', async () => {
  await plugin.executable.ensure();
  const next = new PluginExecutable({
    binDir: plugin.binDir,
    architecture: process.arch === 'arm64' ? 'arm64' : 'x64',
    runtime: ownRuntimeFiles(),
    program: new Map([['main.mjs', 'process.stdout.write("next supportedVersions")']]),
  });
  assert.equal(await next.ensure(), true);
  assert.ok(await answers());
  assert.equal(folders().length, 2);
  assert.equal(await next.ensure(), false);
  assert.equal(folders().length, 1);
  assert.ok(await answers());
});

test('removal leaves other plugins alone', async () => {
  await plugin.executable.ensure();
  writeFileSync(join(plugin.binDir, 'bridge'), 'x');
  mkdirSync(join(plugin.binDir, '.other'));
  plugin.executable.remove();
  plugin.executable.remove();
  assert.deepEqual(readdirSync(plugin.binDir), ['.other', 'bridge']);
});

test('launchers are ELF files of their machine, and refuse texts that do not fit', () => {
  for (const [architecture, machine] of [
    ['x64', 62],
    ['arm64', 183],
  ] as const) {
    const file = makeLauncher(architecture, { folder: 'f', loader: './l', argv: ['a', 'b'] });
    assert.equal(file.toString('latin1', 1, 4), 'ELF');
    assert.equal(file.readUInt16LE(18), machine);
    // Addresses of the arguments, and the zero behind them.
    assert.deepEqual(
      [0, 1, 2].map((i) => file.readBigUInt64LE(0x2c0 + 8 * i)),
      [0x400300n, 0x400302n, 0n],
    );
  }
  const plan = { folder: 'f', loader: './l', argv: ['a'] };
  for (const wrong of [
    { ...plan, folder: 'f'.repeat(112) },
    { ...plan, loader: 'l'.repeat(64) },
    { ...plan, argv: ['a'.repeat(256)] },
    { ...plan, argv: Array(8).fill('a') },
  ]) {
    assert.throws(() => makeLauncher('x64', wrong), RangeError);
  }
});

test('the loader’s list of libraries is read on both architectures', () => {
  const amd64 =
    '\tlinux-vdso.so.1 (0x00007f97)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x0)\n';
  assert.deepEqual(parseListing('/node', amd64), {
    node: '/node',
    loader: '/lib64/ld-linux-x86-64.so.2',
    libraries: new Map([['libc.so.6', '/lib/x86_64-linux-gnu/libc.so.6']]),
  });
  const arm64 = '\tlibm.so.6 => /lib/libm.so.6 (0x1)\n\t/lib/ld-linux-aarch64.so.1 (0x1)\n';
  assert.equal(parseListing('/node', arm64).loader, '/lib/ld-linux-aarch64.so.1');
  assert.throws(() => parseListing('/node', 'statically linked'), { code: 'AMBIT_CNI_INSTALL_FAILED' });
  assert.equal(readFileSync(ownRuntimeFiles().loader).toString('latin1', 1, 4), 'ELF');
});
