/**
 * A rebalance beside running steps, rule by rule: nothing stops that stays, nothing is committed
 * under a generation that ends, and nothing but the group decides who owns a task.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { mapAsync, to, topology } from '../../src/index.ts';
import { addPartitionsToTxn } from '../../src/kafka/protocol/add-partitions-to-txn.ts';
import { decodeResponse } from '../../src/kafka/protocol/codec.ts';
import { endTxn } from '../../src/kafka/protocol/end-txn.ts';
import { KafkaErrorCode } from '../../src/kafka/protocol/error-codes.ts';
import { fetch } from '../../src/kafka/protocol/fetch.ts';
import { heartbeat } from '../../src/kafka/protocol/heartbeat.ts';
import { initProducerId } from '../../src/kafka/protocol/init-producer-id.ts';
import { joinGroup } from '../../src/kafka/protocol/join-group.ts';
import { produce } from '../../src/kafka/protocol/produce.ts';
import { syncGroup } from '../../src/kafka/protocol/sync-group.ts';
import { txnOffsetCommit } from '../../src/kafka/protocol/txn-offset-commit.ts';
import { systemPorts } from '../../src/ports.ts';
import { asText, counting, folded, Lab, type Row, text, until } from './lab.ts';
import { steadyPorts } from './steady-time.ts';
import { STEP } from './step-apis.ts';
import { answering, bodyOf, Hold, type Passage, type Wire } from './wire.ts';

const ROWS: readonly Row[] = [
  ['a', 'x'],
  ['b', 'x'],
  ['a', 'x'],
];
const DYNAMIC = { instanceId: null };
const OF_A_TRANSACTION = new Set<number>(STEP[1].map(({ key }) => key));

let lab: Lab;
afterEach(() => lab?.close());

/** One running instance with two tasks that have committed. */
async function running(transactionVersion: 1 | 2 = 2): Promise<Wire> {
  lab = await Lab.open({ in: 2, out: 2 }, { transactionVersion });
  const wire = lab.wire();
  await lab.start(counting(), wire, DYNAMIC);
  for (const partition of [0, 1]) lab.write('in', ROWS, partition);
  for (const partition of [0, 1]) await lab.reached(ROWS.length, 'in', partition);
  return wire;
}

/** The counts of both partitions, each by itself. */
async function isExact(times: number): Promise<void> {
  const rows = Array.from({ length: times }, () => ROWS).flat();
  const { changelog } = await lab.counts();
  expect(changelog).toEqual([...folded(rows).changelog, ...folded(rows).changelog]);
}

/** Resolves when the broker has told the process of a rebalance. */
function toldOfRebalance(wire: Wire): Promise<void> {
  return new Promise((resolve) => {
    const { between } = wire;
    wire.between = async (passage, pass) => {
      const answer = await between(passage, pass);
      const { apiKey, apiVersion } = passage.request;
      if (apiKey === heartbeat.key) {
        const { errorCode } = decodeResponse(heartbeat, apiVersion, answer);
        if (errorCode === KafkaErrorCode.REBALANCE_IN_PROGRESS) resolve();
      }
      return answer;
    };
  });
}

async function committed(passes: readonly number[]): Promise<void> {
  for (const [partition, offset] of passes.entries()) await lab.reached(offset, 'in', partition);
}

test('a JoinGroup is sent when the steps under way have ended, and none of them is undone', async () => {
  const wire = await running();
  const offsets = new Hold();
  const held = wire.next(txnOffsetCommit, offsets.requests);
  const told = toldOfRebalance(wire);
  lab.write('in', ROWS, 0);
  const step = await held;
  const joins = wire.sent(joinGroup).length;
  const second = lab.start(counting(), lab.wire(), DYNAMIC);
  await told;
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  offsets.open();
  await second;
  await committed([2 * ROWS.length, ROWS.length]);
  const join = wire.sent(joinGroup)[joins]!;
  expect(join.sentAt).toBeGreaterThan(step.answeredAt);
  expect(wire.bodies(endTxn).filter((end) => !end.committed)).toEqual([]);
  const [output] = await lab.read('out');
  expect(output!.aborted).toBe(0);
});

test('between a JoinGroup and its answer nothing of a transaction is sent, and the next names the new generation', async () => {
  const wire = await running();
  const join = new Hold();
  const joining = wire.next(joinGroup, join.answers);
  const second = lab.start(counting(), lab.wire(), DYNAMIC);
  const { sentAt } = await joining;
  const transactional = ({ request }: Passage) => OF_A_TRANSACTION.has(request.apiKey);
  for (const partition of [0, 1]) lab.write('in', ROWS, partition);
  await until(
    () => join.waiting > 0 && wire.sent(fetch).some((each) => each.sentAt > sentAt),
    () => 'the JoinGroup was not answered',
  );
  const { generation } = lab.broker.groups.find('app')!.group;
  expect(wire.journal.filter((each) => transactional(each) && each.sentAt > sentAt)).toEqual([]);
  join.open();
  await second;
  await committed([2 * ROWS.length, 2 * ROWS.length]);
  const next = wire.sent(txnOffsetCommit).find((each) => each.sentAt > sentAt)!;
  expect(bodyOf(txnOffsetCommit, next).generationId).toBeGreaterThanOrEqual(generation);
  expect(wire.bodies(endTxn).filter((end) => !end.committed)).toEqual([]);
  await isExact(2);
});

test('a rebalance does not wait for records under way, and those of tasks that stay go on', async () => {
  lab = await Lab.open({ in: 2, out: 2 });
  const call = new Hold();
  const app = topology('calls');
  app.stream('in', { key: text, value: text }).pipe(
    mapAsync(async (value) => {
      if (value === 'slow') await call.pass();
      return value;
    }),
    to('out', { key: text, value: text }),
  );
  const wire = lab.wire();
  const first = await lab.start(app, wire, DYNAMIC);
  await committed([0, 0]);
  lab.write('in', [['a', 'slow']], 0);
  await until(
    () => call.waiting === 1,
    () => 'the call did not begin',
  );
  const second = await lab.start(app, lab.wire(), DYNAMIC);
  await until(
    () => second.runningTasks.length === 1,
    () => 'no task has moved',
  );
  expect(second.runningTasks).toEqual(['in_1']);
  lab.write('in', [['b', 'x']], 1);
  await committed([0, 1]);
  expect([call.waiting, first.runningTasks, lab.offset('in', 0).offset]).toEqual([1, ['in_0'], 0]);
  call.open();
  await committed([1, 1]);
  expect((await lab.committed('out', asText)).sort()).toEqual(['a=slow', 'b=x']);
  // Once, for each task that it had: the one that stayed was not taken anew.
  expect(wire.sent(initProducerId)).toHaveLength(2);
});

test('a change of leaders is no reason to join the group again', async () => {
  lab = await Lab.open({ in: 2, out: 2 }, { nodes: 3 });
  const wire = lab.wire();
  await lab.start(counting(), wire, DYNAMIC);
  await committed([0, 0]);
  for (let round = 1; round <= 3; round++) {
    for (const topic of ['in', 'out', 'app-counts-changelog']) {
      for (const partition of [0, 1]) lab.broker.moveLeader(topic, partition);
    }
    for (const partition of [0, 1]) lab.write('in', ROWS, partition);
    await committed([round * ROWS.length, round * ROWS.length]);
  }
  expect(wire.sent(syncGroup)).toHaveLength(1);
  await isExact(3);
});

test('a change of the coordinator is none either: the membership and its generation move along', async () => {
  lab = await Lab.open({ in: 2, out: 2 }, { nodes: 3 });
  const wire = lab.wire();
  await lab.start(counting(), wire, DYNAMIC);
  await committed([0, 0]);
  for (let round = 1; round <= 3; round++) {
    lab.broker.moveCoordinator('group', 'app');
    for (const partition of [0, 1]) lab.write('in', ROWS, partition);
    await committed([round * ROWS.length, round * ROWS.length]);
  }
  expect(wire.sent(syncGroup)).toHaveLength(1);
  await isExact(3);
});

test('heartbeats go on through a restore longer than the session, and nobody joins again', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const first = await lab.start(counting(), lab.wire());
  lab.write('in', ROWS);
  await lab.reached(ROWS.length);
  await first.stop();
  const wire = lab.wire();
  const restore = new Hold();
  const held = wire.next(fetch, restore.answers, ({ topics }) =>
    topics.some(({ topic }) => topic.endsWith('-changelog')),
  );
  const sessionTimeoutMs = 2_000;
  await lab.start(counting(), wire, { sessionTimeoutMs });
  await held;
  // The broker's own clock says when the session would have been over.
  const { clock } = steadyPorts;
  const { group } = lab.broker.groups.find('app')!;
  const beats = wire.sent(heartbeat).length;
  const began = clock.monotonic();
  await until(
    () => clock.monotonic() - began > 1.5 * sessionTimeoutMs,
    () => 'the session is not over',
  );
  expect(wire.sent(heartbeat).length).toBeGreaterThan(beats + 5);
  expect(group.members()).toHaveLength(1);
  restore.open();
  lab.write('in', ROWS);
  await lab.reached(2 * ROWS.length);
  expect([wire.sent(joinGroup).length, wire.sent(syncGroup).length]).toEqual([1, 1]);
  expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS]));
});

test('an owner that dies with an open transaction holds back readers no longer than its successor takes', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const dying = lab.wire();
  // Without a successor the coordinator would end it after ten minutes.
  const times = { transactionTimeoutMs: 600_000, rebalanceTimeoutMs: 700_000 };
  await lab.start(counting(), dying, times);
  await lab.reached(0);
  const died = dying.dieAt(endTxn, 'sending');
  lab.write('in', ROWS);
  await died;
  const { log } = lab.broker.topics.partition('out', 0)!;
  expect(log.lastStableOffset).toBeLessThan(log.highWatermark);
  await lab.start(counting(), lab.wire(), times);
  await lab.reached(ROWS.length);
  await until(
    () => log.lastStableOffset === log.highWatermark,
    () => 'the output is still held back',
  );
  expect(await lab.counts()).toEqual(folded(ROWS));
});

describe('offsets that the group refuses with', () => {
  const refusing = (errorCode: number) =>
    answering(txnOffsetCommit, ({ topics }) => ({
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
      })),
    }));

  test.each([
    ['ILLEGAL_GENERATION', KafkaErrorCode.ILLEGAL_GENERATION],
    ['REBALANCE_IN_PROGRESS', KafkaErrorCode.REBALANCE_IN_PROGRESS],
    ['UNKNOWN_MEMBER_ID', KafkaErrorCode.UNKNOWN_MEMBER_ID],
  ])('%s are undone, and the records run again while the membership lives', async (_, code) => {
    const wire = await running();
    const refused = wire.next(txnOffsetCommit, refusing(code));
    lab.write('in', ROWS, 0);
    const { sentAt } = await refused;
    lab.write('in', ROWS, 1);
    await committed([2 * ROWS.length, 2 * ROWS.length]);
    const [end] = wire.sent(endTxn).filter((each) => each.sentAt > sentAt);
    expect(bodyOf(endTxn, end!).committed).toBe(false);
    await isExact(2);
  });

  test.each([
    ['INVALID_PRODUCER_EPOCH', KafkaErrorCode.INVALID_PRODUCER_EPOCH],
    ['PRODUCER_FENCED', KafkaErrorCode.PRODUCER_FENCED],
  ])('%s are not ended: who is still the owner fences back', async (_, code) => {
    const wire = await running();
    const refused = wire.next(txnOffsetCommit, refusing(code));
    lab.write('in', ROWS, 0);
    const { sentAt, request } = await refused;
    lab.write('in', ROWS, 1);
    await committed([2 * ROWS.length, 2 * ROWS.length]);
    const { transactionalId } = bodyOf(txnOffsetCommit, { request, sentAt, answeredAt: -1 });
    const next = wire.journal.filter(
      (each) =>
        each.sentAt > sentAt &&
        ((each.request.apiKey === endTxn.key &&
          bodyOf(endTxn, each).transactionalId === transactionalId) ||
          (each.request.apiKey === initProducerId.key &&
            bodyOf(initProducerId, each).transactionalId === transactionalId)),
    );
    expect(next[0]!.request.apiKey).toBe(initProducerId.key);
    await isExact(2);
  });

  test('FENCED_INSTANCE_ID stop the instance with its name', async () => {
    lab = await Lab.open({ in: 1, out: 1 });
    const wire = lab.wire();
    const application = await lab.start(counting(), wire, { instanceId: 'twin' });
    await lab.reached(0);
    void wire.next(txnOffsetCommit, refusing(KafkaErrorCode.FENCED_INSTANCE_ID));
    lab.write('in', ROWS);
    const reason = await application.stopped().catch((error: unknown) => error);
    expect(reason).toMatchObject({ code: 'INSTANCE_FENCED', decision: 'stop' });
    expect(lab.offset().offset).toBe(0);
  });
});

test.each([
  ['AddPartitionsToTxn', addPartitionsToTxn, 1],
  ['Produce', produce, 1],
  ['Produce', produce, 2],
] as const)(
  'a step under way at %s when the membership is lost is not committed under the next one',
  async (_, api, transactionVersion) => {
    lab = await Lab.open({ in: 1, out: 1 }, { transactionVersion });
    const wire = lab.wire();
    await lab.start(counting(), wire, { ...DYNAMIC, sessionTimeoutMs: 1_000 });
    await lab.reached(0);
    const step = new Hold();
    const held = wire.next(api as typeof produce, step.answers);
    lab.write('in', ROWS);
    await held;
    const fence = new Hold();
    const fencing = wire.next(initProducerId, fence.requests);
    const unknown = { errorCode: KafkaErrorCode.UNKNOWN_MEMBER_ID };
    const { sentAt: lostAt } = await wire.next(
      heartbeat,
      answering(heartbeat, () => unknown),
    );
    const anew = await fencing;
    step.open();
    await until(
      () => step.waiting === 0,
      () => 'the step does not go on',
    );
    for (let left = 20; left > 0; left -= 1) await systemPorts.timers.turn();
    fence.open();
    await lab.reached(ROWS.length);
    const between = (passage: Passage) =>
      passage.sentAt > lostAt && passage.sentAt < anew.answeredAt;
    expect(wire.sent(txnOffsetCommit).filter(between)).toEqual([]);
    expect(wire.sent(endTxn).filter(between)).toEqual([]);
    expect(await lab.counts()).toEqual(folded(ROWS));
  },
);
