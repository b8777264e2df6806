/** Records of repartition topics are deleted when a committed step has read them, never before. */
import { afterEach, expect, test } from 'vitest';
import { count, long, repartition, selectKey, to, topology } from '../../src/index.ts';
import { decodeRequest } from '../../src/kafka/protocol/codec.ts';
import { deleteRecords } from '../../src/kafka/protocol/delete-records.ts';
import { endTxn } from '../../src/kafka/protocol/end-txn.ts';
import { Lab, text, until } from '../exactness/lab.ts';

const BETWEEN = 'app-by-word-repartition';

let lab: Lab;
afterEach(() => lab.close());

function rekeyed() {
  const app = topology('rekeyed');
  app.stream('in', { key: text, value: text }).pipe(
    selectKey((record) => record.value),
    repartition({ name: 'by-word', key: text, value: text }),
    count({ name: 'counts', key: text }),
    to('out', { key: text, value: long() }),
  );
  return app;
}

test('records are deleted up to what a step has committed, also while later ones are processed', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const wire = lab.wire();
  /** `held`: the counting task processes and cannot commit. */
  let commits: 'pass' | 'held' = 'pass';
  const cuts: { offset: number; committed: number }[] = [];
  let letGo = (): void => {};
  const released = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  wire.between = async ({ request: { apiKey, apiVersion, body } }, pass) => {
    if (apiKey === deleteRecords.key) {
      const { topics } = decodeRequest(deleteRecords, apiVersion, body);
      expect(topics.map(({ name }) => name)).toEqual([BETWEEN]);
      const { offset } = topics[0]!.partitions[0]!;
      cuts.push({ offset, committed: lab.offset(BETWEEN).offset });
    }
    if (apiKey === endTxn.key && commits === 'held') {
      const { transactionalId } = decodeRequest(endTxn, apiVersion, body);
      if (transactionalId.includes('by-word')) await released;
    }
    return pass();
  };
  await lab.start(rekeyed(), wire, { repartitionPurgeIntervalMs: 1_000 });
  lab.write('in', [
    ['k', 'a'],
    ['k', 'b'],
  ]);
  const isCounted = (words: number) => () => lab.offset(BETWEEN).offset >= words;
  await until(isCounted(2), () => 'the first words are not counted');
  await until(
    () => cuts.length > 0 && lab.broker.topics.partition(BETWEEN, 0)!.log.logStartOffset > 0,
    () => 'nothing was deleted',
  );
  commits = 'held';
  lab.write('in', [
    ['k', 'c'],
    ['k', 'd'],
  ]);
  const seen = cuts.length;
  await until(
    () => cuts.length > seen + 1,
    () => 'it was not deleted again',
  );
  for (const { offset, committed } of cuts) {
    expect(offset).toBeGreaterThanOrEqual(0);
    expect(offset).toBeLessThanOrEqual(committed);
  }
  // Some were, so that the rule had something to hold back.
  const { log } = lab.broker.topics.partition(BETWEEN, 0)!;
  expect(log.logStartOffset).toBeLessThan(log.logEndOffset - 1);
  letGo();
  await lab.reached(4);
  await until(isCounted(5), () => 'the last words are not counted');
  expect(await lab.committed('out')).toEqual(['a=1', 'b=1', 'c=1', 'd=1']);
});
