import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { encodeResponse } from '../../src/kafka/protocol/codec.ts';
import { fetch } from '../../src/kafka/protocol/fetch.ts';
import { Client, type Producer, stage } from './client.ts';

/** What a seed's run of transactions, moves and outages looks like from outside. */
function run(seed: number): string {
  const options = { nodes: 3, markerDelayMs: 7, coordinatorAppendMs: 2 };
  const { broker, ports } = stage(options, seed);
  const clients = [0, 1, 2].map((node) => new Client(broker, 'test', node));
  clients[0]!.createTopic('t', 3, { 'cleanup.policy': 'compact' });
  const hash = createHash('sha256');
  const note = (what: unknown) => hash.update(JSON.stringify(what));
  const ids = ['one', 'two', 'three'];
  const producers = new Map<string, Producer>();
  const pick = (count: number) => Math.floor(ports.random.fraction() * count);
  for (let step = 0; step < 150; step++) {
    const id = ids[pick(ids.length)]!;
    const home = clients[Math.max(0, broker.coordinatorOf('transaction', id))]!;
    const producer = producers.get(id);
    const partition = pick(3);
    const leader = clients[broker.topics.partition('t', partition)!.leader]!;
    const action = pick(6);
    if (producer === undefined || action === 0) {
      const asked = home.postInit(id);
      ports.advance(2);
      note(asked.answers);
      const [given] = asked.answers;
      if (given?.errorCode === 0) producers.set(id, given);
    } else if (action <= 2) {
      const sent = leader.postProduceV2(id, producer, 't', [partition], {
        values: [`${step}`],
        sequence: 0,
      });
      ports.advance(pick(40));
      note(sent.answers);
    } else if (action === 3) {
      const ended = home.postEndV2(id, producer, pick(2) === 0 ? 'commit' : 'abort');
      ports.advance(pick(10));
      note(ended.answers);
      const [next] = ended.answers;
      if (next?.errorCode === 0) producers.set(id, next);
    } else if (action === 4) {
      broker.moveCoordinator('transaction', id);
      broker.moveLeader('t', partition);
    } else {
      ports.advance(pick(100));
      broker.clean();
    }
  }
  ports.advance(60_000);
  for (const index of [0, 1, 2]) {
    const client = clients[broker.topics.partition('t', index)!.leader]!;
    const { answers } = client.postFetch('t', index, 0, { isolation: 'read_uncommitted' });
    hash.update(encodeResponse(fetch, 11, answers[0]!));
  }
  return hash.digest('hex');
}

test('the same seed and the same requests get the same answers and the same logs', () => {
  const digests = [1, 2, 3].map(run);
  expect([1, 2, 3].map(run)).toEqual(digests);
  expect(new Set(digests).size).toBe(3);
});
