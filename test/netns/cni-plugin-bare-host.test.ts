/** The CNI plugin on a host that has nothing but a kernel and /proc: no libc, no shell, no Node. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { InstalledPlugin, runProgram } from '../support/installed-plugin.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';

inOwnNamespaces(import.meta.filename, () => {
  test('the plugin runs where its own folder is all there is', async () => {
    const plugin = new InstalledPlugin();
    await plugin.executable.ensure();
    const root = '/run/test/host';
    const bin = join(root, 'opt/cni/bin');
    for (const folder of [bin, join(root, 'proc')]) mkdirSync(folder, { recursive: true });
    execFileSync('mount', ['--bind', plugin.binDir, bin]);
    execFileSync('mount', ['--rbind', '/proc', join(root, 'proc')]);
    assert.deepEqual(readdirSync(root), ['opt', 'proc']);
    const command = ['/usr/sbin/chroot', root, join('/opt/cni/bin', basename(plugin.path))];
    const { status, output } = await runProgram(
      command,
      { CNI_COMMAND: 'VERSION' },
      '{"cniVersion":"1.0.0"}',
    );
    assert.equal(status, 0, output);
    assert.equal(JSON.parse(output).cniVersion, '1.0.0');
  });
});
