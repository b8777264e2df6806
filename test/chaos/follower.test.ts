/** A log that is followed from outside, on the embedded broker. */
import { afterEach, expect, test } from 'vitest';
import { deleteRecords } from '../../src/kafka/protocol/delete-records.ts';
import { Client } from '../broker/client.ts';
import { until } from '../exactness/count-run.ts';
import { type Embedded, startEmbedded } from '../integration/embedded.ts';
import { Follower } from './follower.ts';

const TOPIC = 'followed';

let embedded: Embedded;
let follower: Follower;
afterEach(async () => {
  await follower.close();
  await embedded.close();
});

/** Follows a log of three records of which those below `start` were deleted; what it is told. */
async function followed(start: number): Promise<string[]> {
  embedded = await startEmbedded();
  const client = new Client(embedded.broker, 'writer');
  client.createTopic(TOPIC, 1);
  for (const value of ['a', 'b', 'c']) client.produce(TOPIC, 0, { values: [value] });
  const topics = [{ name: TOPIC, partitions: [{ partitionIndex: 0, offset: start }] }];
  client.ask(deleteRecords, 2, { topics, timeoutMs: 1_000 });
  const told: string[] = [];
  follower = new Follower({
    ...{ brokers: [embedded.bootstrap], topic: TOPIC, partition: 0 },
    committed: ({ value }) => told.push(`${value}`),
    aborted: () => {},
    skipped: (from, to) => told.push(`${from} to ${to} skipped`),
    advanced: ({ settledEnd }) => told.push(`settled to ${settledEnd}`),
    failed: (error) => told.push(error.message),
  });
  await until(
    () => told.includes('settled to 3'),
    () => `it was told ${told}`,
  );
  return told;
}

test('every record is told, and how far all is certain', async () => {
  expect(await followed(0)).toEqual(['a', 'b', 'c', 'settled to 3']);
});

test('what was deleted unread is skipped, and the rest is told', async () => {
  expect(await followed(2)).toEqual(['0 to 2 skipped', 'settled to 2', 'c', 'settled to 3']);
});

test('what was deleted unread is certain although nothing comes behind it', async () => {
  expect(await followed(3)).toEqual(['0 to 3 skipped', 'settled to 3']);
});
