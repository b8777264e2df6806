/**
 * The parts that differ between the supported Nodes, under Node 24: codecs (zstd is Node's own there),
 * record batches, protocol, buffers of the stores, and a topology that runs. zstd as it is written
 * there is read by Kafka's classes.
 */
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runCommand } from './real/cache.ts';
import { node24 } from './real/node-24.ts';
import { describeReal } from './real/parts.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** A run takes less than half a minute on a machine of its own, and three on one that is busy. */
const RUN_MS_MAX = 1_200_000;
const UNIT = [
  'test/kafka/records',
  'test/kafka/protocol',
  'test/kafka/transport',
  'test/fuzz',
  'test/state',
  'test/serde/serdes.test.ts',
  'test/topologies/word-count.test.ts',
  'test/exactness/step-rules.test.ts',
];

describeReal('under Node 24', () => {
  const vitest = async (project: string, files: readonly string[]) => {
    const bin = 'node_modules/vitest/vitest.mjs';
    const report = join(mkdtempSync(join(tmpdir(), 'node-24-')), 'report.json');
    const output = ['--reporter=json', `--outputFile.json=${report}`];
    const args = [bin, 'run', '--project', project, ...output, ...files];
    // A tenth of the cases of the other Node.
    const environment = ['env', 'ESCAPEMENT_FUZZ_CASES=100000'];
    const node = await node24();
    const [command, ...rest] = [...environment, node, ...args] as [string, ...string[]];
    await runCommand(command, rest, root);
    return JSON.parse(readFileSync(report, 'utf8')) as {
      readonly numPassedTests: number;
      readonly numFailedTests: number;
      readonly numPendingTests: number;
    };
  };

  test(
    'the tests of codecs, records, protocol, stores and a topology pass',
    async () => {
      const report = await vitest('unit', UNIT);
      expect(report).toMatchObject({ numFailedTests: 0, numPendingTests: 0 });
      expect(report.numPassedTests).toBeGreaterThan(300);
    },
    RUN_MS_MAX,
  );

  test(
    'Kafka reads zstd as Node writes it, and every other codec',
    async () => {
      const report = await vitest('integration', ['test/integration/java-batches.test.ts']);
      expect(report).toMatchObject({ numFailedTests: 0, numPendingTests: 0, numPassedTests: 3 });
    },
    RUN_MS_MAX,
  );
});
