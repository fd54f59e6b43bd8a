/** The settings of an installation as the rows of a table: docs/install.md has it, and a test holds the two together. */

import { valueAt } from '../src/install/manifest.ts';
import { readManifests } from '../src/install/manifest-files.ts';
import { IMAGE_SETTINGS, SETTINGS } from '../src/install/settings.ts';
import { defaultValues } from '../src/install/values.ts';

/** Longer defaults are in `values.yaml` of the chart. */
const MAX_DEFAULT = 60;

/** In Markdown. */
export function settingsTable(): string {
  const values = defaultValues(readManifests('base'));
  const rows = [...IMAGE_SETTINGS, ...SETTINGS].map(({ name, description }) => {
    const value = JSON.stringify(valueAt(values, name.split('.')));
    return `| \`${name}\` | ${description} | ${value.length > MAX_DEFAULT ? '…' : `\`${value}\``} |\n`;
  });
  return `| setting | what it is | default |\n|---|---|---|\n${rows.join('')}`;
}
