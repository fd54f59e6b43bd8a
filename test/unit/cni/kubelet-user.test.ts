/** Finding kubelet's user among processes. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { kubeletUser } from '../../../src/cni/kubelet-user.ts';

test('the user of the one process that is kubelet is found, and nobody’s when there is none', (t) => {
  const proc = mkdtempSync(join(tmpdir(), 'proc-'));
  t.after(() => rmSync(proc, { recursive: true }));
  const addProcess = (pid: string, name: string) => {
    mkdirSync(join(proc, pid));
    writeFileSync(join(proc, pid, 'comm'), `${name}\n`);
  };
  addProcess('1', 'systemd');
  addProcess('20', 'kubelet-wrapper');
  addProcess('self', 'kubelet');
  mkdirSync(join(proc, '30'));
  assert.equal(kubeletUser(proc), undefined);
  for (const name of ['kubelet', 'k3s-server']) {
    addProcess('40', name);
    assert.equal(kubeletUser(proc), process.getuid?.());
    rmSync(join(proc, '40'), { recursive: true });
  }
});
