/** A reporter for node:test: the test files in which something failed, one a line, in the order of the first failure. */

import type { TestEvent } from 'node:test/reporters';

/** A file that ends badly fails as a test of its own, which has no entry file. */
// biome-ignore lint/style/noDefaultExport: node:test takes a reporter as the default export of its module.
export default async function* failedFiles(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const files = new Set<string>();
  for await (const event of source) {
    if (event.type !== 'test:fail') continue;
    const { entryFile, file } = event.data;
    const failed = entryFile ?? file;
    if (failed === undefined || files.has(failed)) continue;
    files.add(failed);
    yield `${failed}\n`;
  }
}
