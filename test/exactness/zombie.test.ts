/**
 * Zombies: a process is cut off past its session, another takes its tasks over, and then everything
 * that the first one had sent, or was about to send, reaches the broker. Nothing of it is committed.
 */
import { describe, expect, test } from 'vitest';
import { decodeResponse } from '../../src/kafka/protocol/codec.ts';
import { KafkaErrorCode } from '../../src/kafka/protocol/error-codes.ts';
import { fetch } from '../../src/kafka/protocol/fetch.ts';
import { initProducerId } from '../../src/kafka/protocol/init-producer-id.ts';
import { joinGroup } from '../../src/kafka/protocol/join-group.ts';
import { syncGroup } from '../../src/kafka/protocol/sync-group.ts';
import { txnOffsetCommit } from '../../src/kafka/protocol/txn-offset-commit.ts';
import { counting, folded, Lab, type Row, until } from './lab.ts';
import { STEP } from './step-apis.ts';
import { type Between, Hold, type Wire } from './wire.ts';

const ROWS: readonly Row[] = [
  ['a', 'x'],
  ['b', 'x'],
  ['a', 'x'],
];
/** Short for the zombie; its successor must not lose its own on a busy machine. */
const ZOMBIE = { instanceId: 'one', sessionTimeoutMs: 1_000 };
const SUCCESSOR = { instanceId: 'two' };

/** From the first request of an API on, everything of the process hangs. */
function cutOff(wire: Wire, apiKey: number, what: 'requests' | 'answers'): Hold {
  const hold = new Hold();
  let state: 'through' | 'cut' = 'through';
  wire.between = (passage, pass) => {
    if (passage.request.apiKey === apiKey) state = 'cut';
    return state === 'through' ? pass() : hold[what](passage, pass);
  };
  return hold;
}

async function within(transactionVersion: 1 | 2, body: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = await Lab.open({ in: 1, out: 1 }, { transactionVersion });
  try {
    await body(lab);
  } finally {
    await lab.close();
  }
}

async function haunt(lab: Lab, key: number, what: 'requests' | 'answers'): Promise<void> {
  const zombie = lab.wire();
  await lab.start(counting(), zombie, ZOMBIE);
  lab.write('in', ROWS);
  await lab.reached(ROWS.length);
  const sentBefore = zombie.journal.length;
  const hold = cutOff(zombie, key, what);
  lab.write('in', ROWS);
  await until(
    () => zombie.journal.slice(sentBefore).some(({ request }) => request.apiKey === key),
    () => 'the zombie was not cut off',
  );
  const successor = lab.wire();
  await lab.start(counting(), successor, SUCCESSOR);
  await lab.reached(2 * ROWS.length);
  await until(
    () => successor.sent(initProducerId).length > 0,
    () => 'the successor did not take over',
  );
  hold.open();
  lab.write('in', ROWS);
  await lab.reached(3 * ROWS.length);
  expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS, ...ROWS]));
}

/** Offsets of a zombie reach the group while its successor has joined, but fenced nothing yet. */
async function refuseByGroup(lab: Lab): Promise<void> {
  const zombie = lab.wire();
  await lab.start(counting(), zombie, ZOMBIE);
  await lab.reached(0);
  const codes: number[] = [];
  const hold = cutOff(zombie, txnOffsetCommit.key, 'requests');
  const { between } = zombie;
  zombie.between = (passage, pass) =>
    between(passage, async () => {
      const answer = await pass();
      const { apiKey, apiVersion } = passage.request;
      if (apiKey !== txnOffsetCommit.key) return answer;
      for (const topic of decodeResponse(txnOffsetCommit, apiVersion, answer).topics) {
        codes.push(...topic.partitions.map(({ errorCode }) => errorCode));
      }
      return answer;
    });
  lab.write('in', ROWS);
  await until(
    () => hold.waiting > 0,
    () => 'the zombie was not cut off',
  );
  const successor = lab.wire();
  const fence = new Hold();
  const fencing = successor.next(initProducerId, fence.requests);
  await lab.start(counting(), successor, SUCCESSOR);
  await fencing;
  hold.open();
  await until(
    () => codes.length > 0,
    () => 'the offsets were not sent',
  );
  expect([
    KafkaErrorCode.UNKNOWN_MEMBER_ID,
    KafkaErrorCode.ILLEGAL_GENERATION,
    KafkaErrorCode.FENCED_INSTANCE_ID,
  ]).toContain(codes[0]);
  expect(lab.offset().offset).toBe(0);
  fence.open();
  await lab.reached(ROWS.length);
  expect(await lab.counts()).toEqual(folded(ROWS));
}

/**
 * The answer to a JoinGroup comes so late that the group has given the zombie's task away, and what
 * it sees of its partitions from a point on is of its successor's making.
 */
async function overtaken(lab: Lab, when: 'running' | 'assigning'): Promise<void> {
  const [reads, joined] = [new Hold(), new Hold()];
  const zombie = lab.wire();
  const cut: Between = (passage, pass) => {
    const { lane, apiKey } = passage.request;
    if (apiKey === joinGroup.key && hasJoined(zombie)) return joined.answers(passage, pass);
    return lane === 'fetch' || lane === 'read' ? reads.requests(passage, pass) : pass();
  };
  if (when === 'assigning') zombie.between = cut;
  const application = await lab.start(counting(), zombie, ZOMBIE);
  const before = when === 'running' ? ROWS : [];
  lab.write('in', before);
  if (when === 'running') await lab.reached(ROWS.length);
  zombie.between = cut;
  await until(
    () => reads.waiting > 0,
    () => 'the zombie was not cut off',
  );
  const successor = await lab.start(counting(), lab.wire(), { ...SUCCESSOR, onClose: 'leave' });
  lab.write('in', ROWS);
  await lab.reached(before.length + ROWS.length);
  lab.truncate('in', before.length + ROWS.length);
  const late = zombie.sent(fetch).at(-1)!;
  reads.open();
  await until(
    () => late.answeredAt > 0,
    () => 'the zombie saw nothing of its successor',
  );
  expect(joined.waiting).toBe(1);
  joined.open();
  await successor.stop();
  lab.write('in', ROWS);
  await Promise.race([lab.reached(before.length + 2 * ROWS.length), application.stopped()]);
  expect(await lab.counts()).toEqual(folded([...before, ...ROWS, ...ROWS]));
}

function hasJoined(wire: Wire): boolean {
  return wire.sent(syncGroup).length > 0;
}

describe.concurrent.each([1, 2] as const)('a zombie on transactions v%i', (version) => {
  for (const { name, key } of STEP[version]) {
    test(`commits nothing when what it sent from ${name} on comes late`, () =>
      within(version, (lab) => haunt(lab, key, 'requests')));
    test(`commits nothing when it is told of ${name} and all else late`, () =>
      within(version, (lab) => haunt(lab, key, 'answers')));
  }

  test('has its offsets refused by the group before its transactional id is fenced', () =>
    within(version, refuseByGroup));

  test('that finds its next record purged asks the group before it takes it for lost', () =>
    within(version, (lab) => overtaken(lab, 'running')));

  test('that finds state where it knows no offset asks the group before it takes it for lost', () =>
    within(version, (lab) => overtaken(lab, 'assigning')));
});
