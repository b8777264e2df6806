/** Topics that are deleted while a task uses them: waited for, then the instance stops and names them. */
import { afterEach, expect, test } from 'vitest';
import { Exchange, Late } from '../../src/kafka/producer/exchange.ts';
import { PartitionWrites } from '../../src/kafka/producer/partition-writes.ts';
import { deleteTopics } from '../../src/kafka/protocol/delete-topics.ts';
import { metadata } from '../../src/kafka/protocol/metadata.ts';
import type { PendingBatch } from '../../src/kafka/records/batch-writer.ts';
import { systemPorts } from '../../src/ports.ts';
import { mayBeGone } from '../../src/runtime/missing-topics.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { folded, type Row, until } from '../exactness/lab.ts';
import { Lives } from './lives.ts';

const ROWS: readonly Row[] = [
  ['a', 'x'],
  ['b', 'x'],
];
const CHANGELOG = 'app-counts-changelog';

let lives: Lives;
afterEach(() => lives.close());

async function open(transactionVersion: 1 | 2) {
  // A step that cannot be written gives up after half of it.
  lives = await Lives.open({ transactionVersion, transactionTimeoutMs: 2_000 });
  await lives.running();
  lives.lab.write('in', ROWS);
  await lives.lab.reached(ROWS.length);
}

function drop(topic: string): void {
  lives.lab.client.ask(deleteTopics, 5, { topicNames: [topic], timeoutMs: 1_000 });
}

/** Waits while the time of a lookup, a minute, passes in a moment: never in the middle of the work. */
async function soon(holds: () => boolean, otherwise: string): Promise<void> {
  await until(
    () => {
      lives.pass(1_000);
      return holds();
    },
    () => otherwise,
  );
}

const failed = (): Promise<void> => soon(() => lives.failures.length > 0, 'nothing is said');

/** The step has failed and is undone, and the topics of the task were not all there at the first look. */
async function searching(): Promise<void> {
  const { wire } = lives;
  const before = wire.bodies(metadata).length;
  // The lookups of a step ask for one topic each.
  const searches = () =>
    wire.bodies(metadata).filter(({ topics }, i) => i >= before && (topics ?? []).length === 3);
  await until(
    () => searches().length >= 2,
    () => 'the topics are not looked for',
  );
}

const KINDS = [
  ['out', 'written'],
  [CHANGELOG, 'changelog'],
] as const;

test.each(KINDS.flatMap((kind) => [[...kind, 1] as const, [...kind, 2] as const]))(
  'the end of %s (%s) is named by the step that writes to it, on transactions v%i',
  async (topic, use, transactionVersion) => {
    await open(transactionVersion);
    drop(topic);
    lives.lab.write('in', ROWS);
    await failed();
    expect(lives.failures[0]).toMatchObject({
      code: 'TOPIC_MISMATCH',
      decision: 'stop',
      at: { task: 'in_0', topic },
    });
    expect(lives.failures[0]!.message).toContain(`in_0 cannot go on: '${topic}' (${use}) does not`);
    expect(lives.lab.offset().offset).toBe(ROWS.length);
    expect(lives.lab.broker.listTransactions().map(({ state }) => state)).not.toContain('Ongoing');
  },
);

test.each([1, 2] as const)(
  'a topic that is there again within the time of a lookup is written to, on transactions v%i',
  async (transactionVersion) => {
    await open(transactionVersion);
    drop('out');
    const { lab } = lives;
    lab.write('in', ROWS);
    await searching();
    lab.client.createTopic('out');
    await lab.reached(2 * ROWS.length);
    expect((await lab.counts()).output).toEqual(folded([...ROWS, ...ROWS]).output.slice(2));
    expect(lives.failures).toEqual([]);
  },
);

test('the end of an input stops the instance, which names it', async () => {
  await open(2);
  drop('in');
  await failed();
  expect(lives.failures[0]).toMatchObject({
    code: 'TOPIC_MISMATCH',
    at: { task: 'in_0', topic: 'in' },
  });
  expect(lives.failures[0]!.message).toContain("'in' (read) does not exist");
});

test('a task that finds its changelog deleted when it is assigned stops the instance', async () => {
  await open(2);
  const [first] = lives.all();
  await first!.finish('revoked');
  drop(CHANGELOG);
  lives.begin();
  await failed();
  expect(lives.failures[0]).toMatchObject({ code: 'TOPIC_MISMATCH', at: { topic: CHANGELOG } });
});

test('a task that is lost while it waits for a topic is let go without a word', async () => {
  await open(2);
  drop('out');
  lives.lab.write('in', ROWS);
  await searching();
  lives.owned = false;
  await soon(() => lives.ended.length > 0, 'the task is not let go');
  expect(lives.ended).toEqual(['lost']);
  expect(lives.failures).toEqual([]);
});

test('a step whose topic has no leader within its bound is a reason to look for the topic', async () => {
  lives = await Lives.open();
  const { cluster } = lives;
  const writes = new PartitionWrites({
    // As the lookup of a topic that is gone, which takes longer than a step.
    cluster: Object.assign(Object.create(cluster), { leaderOf: () => new Promise(() => {}) }),
    transactionalId: 'app-in-0',
    timeoutMs: 1_000,
    lane: 'transaction',
  });
  const exchange = new Exchange({
    ports: systemPorts,
    log: silentLog,
    boundMs: 10,
    quick: new Set(),
    quickPauseMs: [1, 1],
  });
  const output = { topic: 'out', partition: 0, batches: [{} as PendingBatch] };
  const failure = await writes.write(exchange, [output]).catch((cause: unknown) => cause);
  expect(failure).toMatchObject({ code: 'REQUEST_FATE_UNKNOWN', at: { topic: 'out' } });
  expect(mayBeGone(failure)).toBe(true);
  expect(mayBeGone(new Late('EndTxn', 10))).toBe(false);
});
