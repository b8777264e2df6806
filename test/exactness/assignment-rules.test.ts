/** The order in which a task becomes ours, rule by rule: each test fails when its rule is broken. */
import { afterEach, expect, test } from 'vitest';
import {
  long,
  merge,
  to,
  topology,
  tumbling,
  windowedAggregate,
  windowedSerde,
} from '../../src/index.ts';
import { endTxn } from '../../src/kafka/protocol/end-txn.ts';
import { fetch } from '../../src/kafka/protocol/fetch.ts';
import { heartbeat } from '../../src/kafka/protocol/heartbeat.ts';
import { initProducerId } from '../../src/kafka/protocol/init-producer-id.ts';
import { joinGroup } from '../../src/kafka/protocol/join-group.ts';
import { offsetFetch } from '../../src/kafka/protocol/offset-fetch.ts';
import { txnOffsetCommit } from '../../src/kafka/protocol/txn-offset-commit.ts';
import { asText, counting, folded, Lab, type Row, text, until } from './lab.ts';
import { bodyOf, Hold, losing, type Passage, type Wire } from './wire.ts';

const CHANGELOG = 'app-counts-changelog';
const ROWS: readonly Row[] = [
  ['a', 'x'],
  ['b', 'x'],
  ['a', 'x'],
];

let lab: Lab;
afterEach(() => lab?.close());

/** Places of the Fetch requests for a topic, in order. */
function fetchesOf(wire: Wire, topic: string): number[] {
  return wire
    .sent(fetch)
    .filter((each) => bodyOf(fetch, each).topics.some((asked) => asked.topic === topic))
    .map(({ sentAt }) => sentAt);
}

test('a task heartbeats, fences, reads offsets, then its changelog, then its input', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  lab.write('in', ROWS);
  const wire = lab.wire();
  await lab.start(counting(), wire);
  await lab.reached(ROWS.length);
  const [init] = wire.sent(initProducerId);
  // Before it joins, a first start asks whether the application has run.
  const [{ sentAt: joined }] = wire.sent(joinGroup) as [Passage];
  const offsets = wire.sent(offsetFetch).find(({ sentAt }) => sentAt > joined);
  const beats = wire.sent(heartbeat).map(({ answeredAt }) => answeredAt);
  expect(Math.min(...beats)).toBeLessThan(init!.sentAt);
  expect(init!.answeredAt).toBeLessThan(offsets!.sentAt);
  expect(offsets!.answeredAt).toBeLessThan(fetchesOf(wire, CHANGELOG)[0]!);
  expect(fetchesOf(wire, CHANGELOG)[0]!).toBeLessThan(fetchesOf(wire, 'in')[0]!);
  // Step 6: between the last look at the changelog and the first fetch of the input.
  const input = fetchesOf(wire, 'in')[0]!;
  const restored = Math.max(...fetchesOf(wire, CHANGELOG).filter((at) => at < input));
  expect(beats.some((at) => at > restored && at < input)).toBe(true);
  expect(bodyOf(offsetFetch, offsets!).requireStable).toBe(true);
});

test('a recovery fences before it reads the offsets', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const wire = lab.wire();
  await lab.start(counting(), wire);
  await lab.reached(0);
  const lost = wire.next(endTxn, losing('answer'));
  lab.write('in', ROWS);
  const { sentAt } = await lost;
  await lab.reached(ROWS.length);
  await until(
    () => wire.sent(offsetFetch).some((each) => each.sentAt > sentAt),
    () => 'no offsets were read',
  );
  const init = wire.sent(initProducerId).find((each) => each.sentAt > sentAt)!;
  const offsets = wire.sent(offsetFetch).find((each) => each.sentAt > sentAt)!;
  expect(init.answeredAt).toBeLessThan(offsets.sentAt);
});

function copying() {
  const app = topology('copy');
  app.stream('in', { key: text, value: text }).pipe(to('out', { key: text, value: text }));
  return app;
}

/**
 * A task moves between two living members while a step of its owner hangs before its end: the
 * owner is still a member, so that the group does not refuse them. There is no
 * state that would make the new owner wait either. `takeOver` says when the step goes on.
 */
async function handOver(
  transactionVersion: 1 | 2,
  takeOver: (after: Wire, step: Hold) => Promise<() => Promise<void>>,
): Promise<void> {
  lab = await Lab.open({ in: 2, out: 2 }, { transactionVersion });
  // What comes before it is refused by the process itself once the task was let go.
  const last = endTxn;
  const before = lab.wire();
  // A long interval: on a busy machine, too, the held step has all records of the batch.
  const dynamic = { instanceId: null, stopTimeoutMs: 100, commitIntervalMs: 5_000 };
  await lab.start(copying(), before, dynamic);
  await lab.reached(0, 'in', 0);
  await lab.reached(0, 'in', 1);
  const step = new Hold();
  before.between = (passage, pass) =>
    passage.request.apiKey === last.key ? step.requests(passage, pass) : pass();
  lab.write('in', rowsOf('left', 'early'), 0);
  lab.write('in', rowsOf('right', 'early'), 1);
  await until(
    () => step.waiting === 2,
    () => 'the steps were not held',
  );
  const after = lab.wire();
  const taken = await takeOver(after, step);
  await lab.start(copying(), after, dynamic);
  await taken();
  lab.write('in', rowsOf('left', 'later'), 0);
  lab.write('in', rowsOf('right', 'later'), 1);
  await lab.reached(2 * ROWS.length, 'in', 0);
  await lab.reached(2 * ROWS.length, 'in', 1);
  const expected = ['left', 'right'].flatMap((key) =>
    ['early', 'later'].flatMap((when) => rowsOf(key, when).map((row) => row.join('='))),
  );
  expect((await lab.committed('out', asText)).sort()).toEqual(expected.sort());
}

function rowsOf(key: string, when: string): Row[] {
  return ROWS.map((_, i) => [key, `${when}-${i}`]);
}

test.each([1, 2] as const)(
  'offsets are read after the fence, so that a last step of the owner before is seen, on v%i',
  (version) =>
    handOver(version, async (after, step) => {
      const fence = new Hold();
      const fencing = after.next(initProducerId, fence.requests);
      return async () => {
        await fencing;
        step.open();
        await lab.reached(ROWS.length, 'in', 0);
        await lab.reached(ROWS.length, 'in', 1);
        fence.open();
      };
    }),
);

test.each([1, 2] as const)(
  'the fence refuses a last step of the owner before that comes after it, on v%i',
  (version) =>
    handOver(version, async (after, step) => {
      const input = new Hold();
      const fetching = after.next(fetch, input.requests, ({ topics }) =>
        topics.some(({ topic }) => topic === 'in'),
      );
      return async () => {
        await fetching;
        step.open();
        await until(
          () => step.waiting === 0,
          () => 'the steps do not go on',
        );
        input.open();
      };
    }),
);

test('a successor waits for the markers of a committed step and does not run it again', async () => {
  lab = await Lab.open({ in: 1, out: 1 }, { markerDelayMs: 400 });
  const dying = lab.wire();
  await lab.start(counting(), dying);
  await lab.reached(0);
  const died = dying.dieAt(endTxn, 'answered');
  lab.write('in', ROWS);
  await died;
  const wire = lab.wire();
  await lab.start(counting(), wire);
  lab.write('in', ROWS);
  await lab.reached(2 * ROWS.length);
  expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS]));
});

test('a successor restores nothing that its predecessor did not commit', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const dying = lab.wire();
  await lab.start(counting(), dying);
  await lab.reached(0);
  const died = dying.dieAt(endTxn, 'sending');
  lab.write('in', ROWS);
  await died;
  await lab.start(counting(), lab.wire());
  lab.write('in', ROWS);
  await lab.reached(2 * ROWS.length);
  expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS]));
  const [changelog] = await lab.read(CHANGELOG);
  expect(changelog!.aborted).toBeGreaterThan(0);
});

/** Leaves a transaction of somebody else open on the changelog, with a step of ours behind it. */
async function holdChangelog(): Promise<() => void> {
  lab = await Lab.open({ in: 1, out: 1 });
  const application = await lab.start(counting(), lab.wire());
  await lab.reached(0);
  const foreign = lab.client.init('foreign', undefined, 600_000);
  expect(lab.client.addPartitions('foreign', foreign, CHANGELOG, [0])).toEqual([0]);
  lab.client.produceIn('foreign', foreign, CHANGELOG, 0, { values: ['foreign!'], sequence: 0 });
  lab.write('in', ROWS);
  await lab.reached(ROWS.length);
  await application.stop();
  return () => {
    expect(lab.client.end('foreign', foreign, 'abort')).toBe(0);
  };
}

test('a task whose changelog a foreign transaction holds never runs, and says why', async () => {
  await holdChangelog();
  lab.write('in', ROWS);
  const reason = await lab.outcome(counting(), {
    transactionTimeoutMs: 1_000,
    stopTimeoutMs: 500,
  });
  const { log } = lab.broker.topics.partition(CHANGELOG, 0)!;
  expect(reason).toMatchObject({
    code: 'CHANGELOG_HELD',
    at: { task: 'in_0', topic: CHANGELOG, partition: 0, offset: log.lastStableOffset },
    message: expect.stringMatching(
      `Producer id: \\d+ \\(since ${log.lastStableOffset}\\).*abortHanging.*kafka-transactions.sh abort`,
    ),
  });
  expect(lab.offset().offset).toBe(ROWS.length);
});

test('a task whose changelog is let go in time restores all of it', async () => {
  const letGo = await holdChangelog();
  const wire = lab.wire();
  const started: string[] = [];
  await lab.start(counting(), wire, { listener: { taskStarted: (task) => started.push(task) } });
  lab.write('in', ROWS);
  await until(
    () => fetchesOf(wire, CHANGELOG).length > 2,
    () => 'the changelog was not looked at again',
  );
  expect(started).toEqual([]);
  letGo();
  await lab.reached(2 * ROWS.length);
  expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS]));
});

test('a changelog whose first rows expire while it is restored is read from its new start', async () => {
  const windows = () => {
    const app = topology('windows');
    app.stream('in', { key: text, value: text }).pipe(
      windowedAggregate({
        name: 'counts',
        window: tumbling({ sizeMs: 100, graceMs: 0 }),
        init: () => 0,
        add: (count) => count + 1,
        key: text,
        value: long(),
      }),
      to('out', { key: windowedSerde(text, 100), value: long() }),
    );
    return app;
  };
  lab = await Lab.open({ in: 1, out: 1 });
  const first = await lab.start(windows(), lab.wire());
  lab.write('in', [
    ['a', 'x', 50],
    ['a', 'x', 1_050],
  ]);
  await lab.reached(2);
  await first.stop();
  const wire = lab.wire();
  const expired = wire.next(
    fetch,
    (_, pass) => {
      lab.truncate(CHANGELOG, 1);
      return pass();
    },
    ({ topics }) =>
      topics.some(({ topic, partitions }) => {
        return topic === CHANGELOG && partitions[0]?.fetchOffset === 0;
      }),
  );
  const application = await lab.start(windows(), wire);
  await expired;
  lab.write('in', [['a', 'x', 1_060]]);
  await Promise.race([lab.reached(3), application.stopped()]);
  const counts = (await lab.committed('out')).map((line) => line.split('=').at(-1));
  expect(counts).toEqual(['1', '1', '2']);
});

test('a first start commits the reset position before the first fetch', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  lab.write('in', ROWS);
  const wire = lab.wire();
  await lab.start(counting(), wire);
  await lab.reached(ROWS.length);
  const [first] = wire.bodies(txnOffsetCommit);
  expect(first!.topics).toMatchObject([{ name: 'in', partitions: [{ committedOffset: 0 }] }]);
  const [end] = wire.sent(endTxn);
  expect(bodyOf(endTxn, end!).committed).toBe(true);
  expect(end!.answeredAt).toBeLessThan(fetchesOf(wire, 'in')[0]!);
});

test('a lost offset of a task that has state is an error, not a new start', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const application = await lab.start(counting(), lab.wire());
  lab.write('in', ROWS);
  await lab.reached(ROWS.length);
  await application.stop();
  lab.broker.groups.forgetTopic('in');
  const reason = await lab.outcome(counting());
  const at = { task: 'in_0', topic: 'in', partition: 0 };
  expect(reason).toMatchObject({ code: 'OFFSET_MISSING', at });
  expect(await lab.counts()).toEqual(folded(ROWS));
});

test('a lost offset beside one that is there is an error, too', async () => {
  lab = await Lab.open({ left: 1, right: 1, out: 1 });
  const app = topology('merged');
  const right = app.stream('right', { key: text, value: text });
  app
    .stream('left', { key: text, value: text })
    .pipe(merge(right), to('out', { key: text, value: text }));
  const application = await lab.start(app, lab.wire());
  await lab.reached(0, 'left');
  await lab.reached(0, 'right');
  await application.stop();
  lab.broker.groups.forgetTopic('right');
  const reason = await lab.outcome(app);
  expect(reason).toMatchObject({ code: 'OFFSET_MISSING', at: { topic: 'right', partition: 0 } });
});
