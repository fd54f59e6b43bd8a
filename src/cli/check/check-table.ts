/** Every check as a row of a table: docs/troubleshooting.md has it, and a test holds the two together. */

import { KUBERNETES_CHECKS } from './kubernetes-checks.ts';
import { MESH_CHECKS } from './mesh-checks.ts';
import { OBJECT_CHECKS } from './object-checks.ts';
import { POD_CHECKS } from './pod-checks.ts';
import { SURROUNDINGS_CHECKS } from './surroundings-checks.ts';

/** In Markdown. */
export function checkTable(): string {
  const checks = [
    ...KUBERNETES_CHECKS,
    ...SURROUNDINGS_CHECKS,
    ...MESH_CHECKS,
    ...OBJECT_CHECKS,
    ...POD_CHECKS,
  ];
  const rows = checks.map(
    ({ code, claim, remedy }) => `| <a id="${code}"></a>\`${code}\` | ${claim} | ${remedy} |\n`,
  );
  return `| code | what should be the case | what to do |\n|---|---|---|\n${rows.join('')}`;
}
