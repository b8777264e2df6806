/** What one transaction must and must not do, rule by rule: each test fails when its rule is broken. */
import { afterEach, expect, test } from 'vitest';
import { mapAsync, merge, to, topology } from '../../src/index.ts';
import { endTxn } from '../../src/kafka/protocol/end-txn.ts';
import { KafkaErrorCode } from '../../src/kafka/protocol/error-codes.ts';
import { heartbeat } from '../../src/kafka/protocol/heartbeat.ts';
import { initProducerId } from '../../src/kafka/protocol/init-producer-id.ts';
import { joinGroup } from '../../src/kafka/protocol/join-group.ts';
import { produce } from '../../src/kafka/protocol/produce.ts';
import { txnOffsetCommit } from '../../src/kafka/protocol/txn-offset-commit.ts';
import { asText, counting, folded, Lab, type Row, text, until } from './lab.ts';
import { STEP } from './step-apis.ts';
import { answering, bodyOf, Hold, losing, type Wire } from './wire.ts';

const ROWS: readonly Row[] = [
  ['a', 'x'],
  ['b', 'x'],
  ['a', 'x'],
];
const OF_A_TRANSACTION = new Set<number>(STEP[1].map(({ key }) => key));

let lab: Lab;
afterEach(() => lab?.close());

/** Requests of transactions that were sent so far. */
function transactional(wire: Wire): number {
  return wire.journal.filter(({ request }) => OF_A_TRANSACTION.has(request.apiKey)).length;
}

async function running(transactionVersion: 1 | 2 = 2): Promise<Wire> {
  lab = await Lab.open({ in: 1, out: 1 }, { transactionVersion });
  const wire = lab.wire();
  await lab.start(counting(), wire);
  lab.write('in', ROWS);
  await lab.reached(ROWS.length);
  return wire;
}

const refusingOffsets = (errorCode: number) =>
  answering(txnOffsetCommit, ({ topics }) => ({
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    })),
  }));

const refuseOffsets = refusingOffsets(KafkaErrorCode.ILLEGAL_GENERATION);

test('a refused step is aborted: position and counts go back, its records run again', async () => {
  const wire = await running();
  const refused = wire.next(txnOffsetCommit, refuseOffsets);
  lab.write('in', ROWS);
  const { sentAt } = await refused;
  lab.write('in', ROWS);
  await lab.reached(3 * ROWS.length);
  expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS, ...ROWS]));
  const ends = wire.sent(endTxn).filter((each) => each.sentAt > sentAt);
  expect(bodyOf(endTxn, ends[0]!).committed).toBe(false);
});

test('a coordinator that does not know the member costs a step, not the task, while the member is one', async () => {
  const wire = await running();
  const refused = wire.next(txnOffsetCommit, refusingOffsets(KafkaErrorCode.UNKNOWN_MEMBER_ID));
  lab.write('in', ROWS);
  const { sentAt } = await refused;
  await lab.reached(2 * ROWS.length);
  expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS]));
  expect(wire.sent(joinGroup).filter((each) => each.sentAt > sentAt)).toEqual([]);
});

test('records that ran while the refused step was under way run again behind it', async () => {
  const wire = await running();
  const hold = new Hold();
  const refused = wire.next(txnOffsetCommit, async (passage, pass) => {
    await hold.pass();
    return refuseOffsets(passage, pass);
  });
  lab.write('in', ROWS);
  await refused;
  // The next step fills on top of the sealed one; nothing tells from outside that it has.
  lab.write('in', ROWS);
  const beats = wire.sent(heartbeat).length;
  await until(
    () => wire.sent(heartbeat).length > beats + 1,
    () => 'no heartbeats',
  );
  hold.open();
  await lab.reached(3 * ROWS.length);
  expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS, ...ROWS]));
});

test.each(['request', 'answer'] as const)('a lost %s of Produce undoes the step', async (what) => {
  const wire = await running();
  const lost = wire.next(produce, losing(what));
  lab.write('in', ROWS);
  await lost;
  await lab.reached(2 * ROWS.length);
  expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS]));
  const [output] = await lab.read('out');
  expect(output!.aborted > 0).toBe(what === 'answer');
});

test.each(['request', 'answer'] as const)(
  'a lost %s of EndTxn is resolved by the step id',
  async (what) => {
    const wire = await running();
    const lost = wire.next(endTxn, losing(what));
    lab.write('in', ROWS);
    await lost;
    lab.write('in', ROWS);
    await lab.reached(3 * ROWS.length);
    expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS, ...ROWS]));
    // Aborted alone if the request was lost: what is committed runs once even inside the broker.
    const [output] = await lab.read('out');
    expect(output!.aborted > 0).toBe(what === 'request');
  },
);

const SILENT = ([1, 2] as const).flatMap((version) =>
  STEP[version].map((api) => ({ version, api, name: api.name })),
);

test.each(SILENT)(
  'after an answer of $name is lost the session is silent until it has fenced itself, on v$version',
  async ({ version, api }) => {
    const wire = await running(version);
    const lost = wire.next<unknown>(api, losing('answer'));
    lab.write('in', ROWS);
    const { sentAt, answeredAt } = await lost.then(async (passage) => {
      await until(
        () => passage.answeredAt >= 0,
        () => 'not answered',
      );
      return passage;
    });
    await lab.reached(2 * ROWS.length);
    const fence = wire.sent(initProducerId).find((each) => each.sentAt > sentAt)!;
    const sent = wire.journal.filter(
      (each) =>
        OF_A_TRANSACTION.has(each.request.apiKey) &&
        each.sentAt > answeredAt &&
        each.sentAt < fence.answeredAt,
    );
    expect(sent).toEqual([]);
    expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS]));
  },
);

test('every step commits the offsets of all inputs under one step id', async () => {
  lab = await Lab.open({ left: 1, right: 1, out: 1 });
  const app = topology('merged');
  const right = app.stream('right', { key: text, value: text });
  app
    .stream('left', { key: text, value: text })
    .pipe(merge(right), to('out', { key: text, value: text }));
  const wire = lab.wire();
  await lab.start(app, wire);
  const stepOf = (topic: string) => lab.offset(topic).metadata.split(';')[1];
  await lab.reached(0, 'left');
  await lab.reached(0, 'right');
  const first = stepOf('left');
  expect(stepOf('right')).toBe(first);
  lab.write('left', ROWS);
  await lab.reached(ROWS.length, 'left');
  expect(stepOf('left')).not.toBe(first);
  expect(stepOf('right')).toBe(stepOf('left'));
  for (const body of wire.bodies(txnOffsetCommit)) {
    expect(body.topics.map(({ name }) => name).sort()).toEqual(['left', 'right']);
  }
});

test('the commit of offsets names generation, member and instance', async () => {
  const wire = await running();
  for (const body of wire.bodies(txnOffsetCommit)) {
    expect(body).toMatchObject({ generationId: 1, groupInstanceId: 'one' });
    expect(body.memberId).not.toBe('');
  }
});

test('an idle task opens no transaction', async () => {
  const wire = await running();
  await until(
    () => lab.broker.listTransactions().every(({ state }) => state === 'CompleteCommit'),
    () => 'the transaction does not end',
  );
  const [sent, beats] = [transactional(wire), wire.sent(heartbeat).length];
  await until(
    () => wire.sent(heartbeat).length > beats + 2,
    () => 'no heartbeats',
  );
  expect(transactional(wire)).toBe(sent);
});

test('no transaction is open while user code is awaited', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const hold = new Hold();
  const app = topology('calls');
  app.stream('in', { key: text, value: text }).pipe(
    mapAsync(async (value) => {
      if (value === 'slow') await hold.pass();
      return value;
    }),
    to('out', { key: text, value: text }),
  );
  const wire = lab.wire();
  await lab.start(app, wire);
  lab.write('in', [
    ['a', 'first'],
    ['b', 'slow'],
    ['c', 'last'],
  ]);
  await lab.reached(1);
  await until(
    () => hold.waiting === 1,
    () => 'the call did not begin',
  );
  const [sent, beats] = [transactional(wire), wire.sent(heartbeat).length];
  await until(
    () => wire.sent(heartbeat).length > beats + 2,
    () => 'no heartbeats',
  );
  expect(lab.broker.listTransactions().map(({ state }) => state)).toEqual(['CompleteCommit']);
  expect(transactional(wire)).toBe(sent);
  expect(lab.offset().offset).toBe(1);
  hold.open();
  await lab.reached(3);
  expect(await lab.committed('out', asText)).toEqual(['a=first', 'b=slow', 'c=last']);
});

test('a fenced task that is still ours fences back and goes on', async () => {
  const wire = await running();
  lab.client.init('app-in-0');
  lab.write('in', ROWS);
  await lab.reached(2 * ROWS.length);
  expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS]));
  expect(wire.sent(initProducerId).length).toBe(2);
});

test('a task that is fenced again and again gives up after three attempts', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const wire = lab.wire();
  const application = await lab.start(counting(), wire);
  lab.write('in', ROWS);
  await lab.reached(ROWS.length);
  wire.between = async (passage, pass) => {
    const answer = await pass();
    if (passage.request.apiKey === initProducerId.key) lab.client.init('app-in-0');
    return answer;
  };
  lab.client.init('app-in-0');
  lab.write('in', ROWS);
  const reason = await application.stopped().catch((error: unknown) => error);
  expect(reason).toMatchObject({ code: 'TASK_FENCED', at: { task: 'in_0' } });
  expect(wire.sent(initProducerId).length).toBe(1 + 3);
  expect(lab.offset().offset).toBe(ROWS.length);
  expect(await lab.counts()).toEqual(folded(ROWS));
});
