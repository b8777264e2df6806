/**
 * `npm run chaos` in small: three brokers, four processes, and everything that can fail does. The
 * program runs compiled, since the processes that it kills are programs of their own.
 */
import { beforeAll, expect, test } from 'vitest';
import { type ChaosReport, tableOf } from '../chaos/report.ts';
import { setup } from '../proof/compile.ts';
import { runProgram } from '../proof/program.ts';
import { describeReal } from './real/parts.ts';

const CHAOS = 'test/chaos/chaos.js';
const MINUTES = 3;
/** Beside what it takes to start, to drain and to check: all of it is as long as the machine is slow. */
const RUN_MS = 1_800_000;

beforeAll(setup);

describeReal('a chaos run on three brokers', () => {
  test(
    'of three minutes is exact, and every kind of fault was injected',
    async () => {
      const args = ['--minutes', String(MINUTES), '--every-fault'];
      const report = await runProgram<ChaosReport>(CHAOS, args);
      process.stderr.write(`${tableOf(report)}\n`);
      expect(report.problems).toEqual([]);
      expect(report).toMatchObject({ lost: 0, duplicated: 0, swapped: 0, wrong: 0, dirty: 0 });
      expect(report.isExact).toBe(true);
      expect(report.emissions).toBe(report.records);
      expect(report.records).toBeGreaterThan(0);
      const { kills, zombies, restarts, brokerKills, connectionsCut, rolledBack } = report;
      const injected = { kills, zombies, restarts, brokerKills, connectionsCut, rolledBack };
      for (const [kind, count] of Object.entries(injected)) expect(count, kind).toBeGreaterThan(0);
      for (const api of ['EndTxn', 'Produce', 'TxnOffsetCommit', 'Heartbeat', 'InitProducerId']) {
        expect(report.lostAnswers[api], `lost answers of ${api}`).toBeGreaterThan(0);
      }
    },
    RUN_MS,
  );

  test(
    'sees that offsets were committed beside their transactions',
    async () => {
      // It ends with the first record that is lost, which a process that dies at the wrong time costs.
      const args = ['--minutes', '10', '--broken', 'offsets-outside'];
      const report = await runProgram<ChaosReport>(CHAOS, args);
      expect(report.isExact).toBe(false);
      expect(report.lost).toBeGreaterThan(0);
    },
    RUN_MS,
  );
});
