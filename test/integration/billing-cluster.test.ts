/** `npm start -- --broker …` on three brokers: exact while processes die and a broker dies. */
import { afterEach, beforeAll, expect, test } from 'vitest';
import { build, endAll, launchBilling, survivors } from '../topologies/billing/launched.ts';
import { freeze, thaw } from './real/freeze.ts';
import type { KafkaVersion } from './real/kafka.ts';
import { startKafkaCluster } from './real/kafka-cluster.ts';
import { describeReal } from './real/parts.ts';

/** Some 40 s on two free cores; a busy machine takes several times as long. */
const RUN_MS = 900_000;

beforeAll(build);
afterEach(endAll);

describeReal('billing on three brokers', () => {
  test.each<KafkaVersion>(['3.9.1', '4.3.1'])(
    'of Kafka %s is exact while twenty processes and one broker are killed',
    async (version) => {
      const cluster = await startKafkaCluster({ version });
      try {
        const run = launchBilling([
          ...['--json', '--events', '20000', '--instances', '3', '--kills', '20'],
          ...['--broker', cluster.bootstrap],
        ]);
        await run.said(/kill 4 of 20/, RUN_MS);
        const node = await cluster.leaderOf('usage-events', 0);
        await node.kill();
        await run.said(/kill 8 of 20/, RUN_MS);
        // The processes go on; the one that kills them waits, for else it may be done before.
        await freeze(run.pid);
        await node.restart();
        expect(run.ending, run.stderr).toBe(null);
        thaw(run.pid);
        expect(await run.ended(), run.stderr).toBe(0);
        const report = JSON.parse(run.stdout.trimEnd().split('\n').at(-1)!);
        const exact = { rejected: 0, lost: 0, duplicated: 0, wrong: 0 };
        expect(report).toMatchObject({ ...exact, events: 20_000, dead: 10, kills: 20 });
        expect(survivors(run)).toEqual([]);
      } finally {
        await cluster.stop();
      }
    },
    RUN_MS,
  );
});
