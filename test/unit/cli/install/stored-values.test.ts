/** The settings that the cluster keeps of an installation. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkImage } from '../../../../src/cli/install/stored-values.ts';

const USAGE = { code: 'AMBIT_CLI_USAGE', message: /name that of this version with --image/ };

test('an image that was named with its tag or digest has to be named again for another version', () => {
  for (const stored of [
    { image: 'r.example:5000/ambit:0.1.0' },
    { image: 'ambit@sha256:00' },
    { tag: '0.1.0' },
  ]) {
    assert.throws(() => checkImage(stored, {}), USAGE);
    checkImage(stored, { image: 'r.example/ambit:0.2.0' });
    checkImage(stored, { tag: '0.2.0' });
  }
});

test('an image without a tag is that of whatever version', () => {
  checkImage({ hub: 'r.example:5000/mesh' }, {});
  checkImage({ image: 'r.example:5000/ambit' }, {});
  checkImage({}, {});
});
