/** What a rolling restart may cost, on any broker. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BrokerUnderTest } from './crash-matrix.ts';
import { RollingRun } from './rolling-run.ts';

const INSTANCES = 3;
const PARTITIONS = 7;
const GUESTS = 6;

export function rollingRestart(name: string, start: () => Promise<BrokerUnderTest>): void {
  describe(`a group of instances on ${name}`, () => {
    let broker: BrokerUnderTest;
    beforeAll(async () => {
      broker = await start();
    });
    afterAll(() => broker?.close());

    test('is exact through a storm of rebalances, in which every partition gets on', async () => {
      const options = { membership: 'dynamic', instances: 2, partitions: PARTITIONS } as const;
      const run = new RollingRun(broker.bootstrap, options);
      try {
        await run.open();
        await run.storm(GUESTS);
        await run.drained();
        expect(run.undone().aborts, run.warnings.join('\n')).toBe(0);
        expect((await run.outcome()).counts).toEqual(run.expected());
        expect(run.failures).toEqual([]);
      } finally {
        await run.close();
      }
    });

    for (const membership of ['dynamic', 'static'] as const) {
      test(`moves in a rolling restart no task of ${membership} members more than once beyond need, and undoes no step`, async () => {
        const options = { membership, instances: INSTANCES, partitions: PARTITIONS };
        const run = new RollingRun(broker.bootstrap, options);
        try {
          await run.open();
          await run.restartAll();
          await run.drained();
          const moves = run.moves();
          const necessary = run.necessary();
          expect([...moves.keys()]).toHaveLength(PARTITIONS);
          for (const [task, times] of moves) {
            // Away with its instance, and back for the balance; a static member keeps its tasks.
            const most = membership === 'static' ? 0 : necessary.get(task)! + 1;
            expect(times, `moves of ${task}`).toBeLessThanOrEqual(most);
          }
          expect(run.undone(), run.warnings.join('\n')).toEqual({ aborts: 0, retaken: 0 });
          const { counts, aborted } = await run.outcome();
          expect(aborted).toBe(0);
          expect(counts).toEqual(run.expected());
          expect(run.failures).toEqual([]);
          if (membership === 'static') expect(run.joins()).toBe(INSTANCES);
        } finally {
          await run.close();
        }
      });
    }
  });
}
