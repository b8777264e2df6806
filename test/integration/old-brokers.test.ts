/** Kafka 3.3.2, the oldest line that is supported: the billing demo is exact on it, too. */
import { afterEach, beforeAll, expect, test } from 'vitest';
import { build, endAll, launchBilling } from '../topologies/billing/launched.ts';
import { describeReal } from './real/parts.ts';
import { sharedKafka } from './real/shared.ts';

beforeAll(build);
afterEach(endAll);

describeReal('billing on Kafka 3.3.2', () => {
  test('is exact while two processes are killed', async () => {
    const { bootstrap } = await sharedKafka('3.3.2');
    const run = launchBilling([
      ...['--json', '--events', '20000', '--kills', '2', '--broker', bootstrap],
    ]);
    expect(await run.ended(), run.stderr).toBe(0);
    const report = JSON.parse(run.stdout.trimEnd().split('\n').at(-1)!);
    expect(report).toMatchObject({
      ...{ broker: bootstrap, events: 20_000, kills: 2 },
      ...{ rejected: 0, lost: 0, duplicated: 0, wrong: 0 },
    });
  });
});
