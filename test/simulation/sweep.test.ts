/** Cases of the sweep that once failed, each with what it showed; all of them run in `test/proof`. */
import { expect, test } from 'vitest';
import { KafkaErrorCode } from '../../src/kafka/protocol/error-codes.ts';
import { joinGroup } from '../../src/kafka/protocol/join-group.ts';
import { txnOffsetCommit } from '../../src/kafka/protocol/txn-offset-commit.ts';
import { runSweepCase, type SweepCase, sweepCases } from '../../src/simulation/sweep.ts';
import { workloadOf } from './workloads.ts';

const refusedAsUnknown = (apiKey: number, ordinal: number): SweepCase => ({
  request: { process: 'p0.1', apiKey, ordinal },
  strike: { kind: 'refuse', when: 'instead', errorCode: KafkaErrorCode.UNKNOWN_MEMBER_ID },
});

test.each([1, 2] as const)(
  'a static member that is lost before it told what it let go frees it, transactions v%i',
  async (transactionVersion) => {
    const options = { workload: workloadOf('transfer'), instances: 2, transactionVersion };
    const verdict = await runSweepCase(options, refusedAsUnknown(joinGroup.key, 3));
    expect(verdict.violations).toEqual([]);
  },
);

test.each([1, 2] as const)(
  'a coordinator that does not know the member leaves the task running, transactions v%i',
  async (transactionVersion) => {
    const options = { workload: workloadOf('list-append'), transactionVersion };
    const verdict = await runSweepCase(options, refusedAsUnknown(txnOffsetCommit.key, 3));
    expect(verdict.violations).toEqual([]);
  },
);

test('a case whose request is never sent says so', async () => {
  const options = { workload: workloadOf('list-append') };
  const verdict = await runSweepCase(options, refusedAsUnknown(joinGroup.key, 99));
  expect(verdict.violations).toEqual(['the request was met 0 times']);
});

test('the cases are those of every request of an undisturbed run', async () => {
  const cases = await sweepCases({ workload: workloadOf('list-append') });
  const requests = new Set(cases.map(({ request }) => JSON.stringify(request)));
  expect(requests.size).toBeGreaterThan(50);
  // Eleven things can become of any request, whatever its API.
  expect(cases.length).toBeGreaterThan(11 * requests.size);
});
