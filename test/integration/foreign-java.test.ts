/** The Java producer and consumer of Apache Kafka 4.3.1 against the embedded broker's TCP door. */
import { afterEach, expect, test } from 'vitest';
import { createTopics } from '../topics.ts';
import { type Embedded, startEmbedded } from './embedded.ts';
import { runProgram } from './real/java-program.ts';
import { describeReal } from './real/parts.ts';

const RECORDS = 400;

let embedded: Embedded | undefined;
afterEach(() => embedded?.close());

describeReal('the Java clients over the embedded broker', () => {
  test.each([
    { transactionVersion: 1, nodes: 1, compression: 'none' },
    { transactionVersion: 1, nodes: 3, compression: 'lz4' },
    { transactionVersion: 2, nodes: 1, compression: 'zstd' },
    { transactionVersion: 2, nodes: 3, compression: 'snappy' },
  ] as const)(
    'copy exactly once with transactions v$transactionVersion on $nodes nodes, $compression',
    async ({ compression, ...options }) => {
      embedded = await startEmbedded(options);
      const { bootstrap } = embedded;
      await createTopics(bootstrap.split(',')[0]!, [
        { topic: 'source', numPartitions: 2 },
        { topic: 'target', numPartitions: 3 },
      ]);
      const asked = [bootstrap, 'source', 'target', RECORDS, compression];
      const [found] = await runProgram('CopyLoop', asked);
      expect(found).toMatchObject({ committed: RECORDS, distinct: RECORDS, offsets: RECORDS });
      const { aborts, aborted, uncommitted } = found as Record<string, number>;
      expect(aborts).toBeGreaterThan(0);
      expect(uncommitted).toBe(RECORDS + aborted!);
    },
  );
});
