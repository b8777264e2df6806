/** Kafka Streams 4.3.1 itself, `exactly_once_v2`, over the embedded broker. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { afterEach, expect, test } from 'vitest';
import type { Broker } from '../../src/broker/broker.ts';
import { createTopics } from '../topics.ts';
import { startEmbedded } from './embedded.ts';
import { type JavaProgram, startProgram } from './real/java-program.ts';
import { describeReal } from './real/parts.ts';

const WORDS = ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta'];
const closers: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function stage(options: { transactionVersion: 1 | 2; nodes: number }) {
  const { broker, bootstrap, close } = await startEmbedded(options);
  const folder = mkdtempSync(join(tmpdir(), 'escapement-streams-'));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  closers.push(close);
  await createTopics(bootstrap.split(',')[0]!, [
    { topic: 'lines', numPartitions: 2 },
    { topic: 'counted', numPartitions: 2 },
  ]);
  const start = async (main: string, ...args: string[]): Promise<JavaProgram> => {
    const program = await startProgram(main, [bootstrap, ...args]);
    closers.push(() => program.process.stop('SIGKILL'));
    return program;
  };
  return { broker, bootstrap, folder, start };
}

/** Aborted transactions that have records in a topic. */
function abortedIn(broker: Broker, topic: string): number {
  const partitions = broker.topics.find(topic)!.partitions;
  return partitions.flatMap(({ log }) => log.abortedTransactions(0, log.logEndOffset)).length;
}

/** Whether records of a transaction that has not ended are in a topic. */
function isOpenIn(broker: Broker, topic: string): boolean {
  const { partitions } = broker.topics.find(topic)!;
  return partitions.some(({ log }) => log.lastStableOffset < log.logEndOffset);
}

/** Writes lines of three words; answers how often each word has now been written. */
function writer(bootstrap: string) {
  const written = new Map<string, number>();
  let next = 0;
  return async (count: number): Promise<ReadonlyMap<string, number>> => {
    const producer = new Kafka({
      brokers: bootstrap.split(','),
      logLevel: logLevel.NOTHING,
    }).producer();
    await producer.connect();
    const messages = Array.from({ length: count }, () => {
      next += 1;
      const words = [0, 1, 2].map((place) => WORDS[(next * (place + 2)) % WORDS.length]!);
      for (const word of words) written.set(word, (written.get(word) ?? 0) + 1);
      return { key: `${next}`, value: words.join(' ') };
    });
    await producer.send({ topic: 'lines', messages });
    await producer.disconnect();
    return new Map(written);
  };
}

const said = (line: string) => (text: string) => text === line;
const RUNNING = said('{"state":"RUNNING"}');
const RESTORED = (line: string) => /"restored":[1-9]/.test(line);

/** Waits until every count was read; then each word's counts must be 1, 2, 3 and so on. */
async function expectCounts(tail: JavaProgram, written: ReadonlyMap<string, number>) {
  await Promise.all(
    [...written].map(([word, count]) =>
      tail.line((line) => line.startsWith(`{"key":"${word}","value":"${count}"`)),
    ),
  );
  const counts = new Map<string, number[]>();
  for (const line of tail.lines) {
    const { key, value } = JSON.parse(line) as { key: string; value: string };
    const known = counts.get(key);
    if (known === undefined) counts.set(key, [Number(value)]);
    else known.push(Number(value));
  }
  for (const [word, count] of written) {
    expect(counts.get(word), word).toEqual(Array.from({ length: count }, (_, n) => n + 1));
  }
  expect(counts.size).toBe(written.size);
}

/**
 * An instance keeps its place in the group for a session after its end, and the next one waits for
 * that: 45 s by default.
 */
const SESSION = ['session.timeout.ms=3000', 'heartbeat.interval.ms=500'];
/** A producer of Kafka Streams waits 100 ms for more, as long as a transaction lasts. */
const SENDS_AT_ONCE = 'producer.linger.ms=0';
/** The end of the transaction may be on its way when it is seen to be open. */
const KILLS_MAX = 20;
const SOON = { timeout: 60_000, interval: 1 } as const;

describeReal('Kafka Streams over the embedded broker', () => {
  test.each([
    { transactionVersion: 1, nodes: 1 },
    { transactionVersion: 2, nodes: 3 },
  ] as const)(
    'counts exactly over a stop, a lost disk, kills and a second instance: %o',
    async (options) => {
      const { broker, bootstrap, folder, start } = await stage(options);
      const instance = (state: string) =>
        start('WordCount', 'counting', join(folder, state), ...SESSION, SENDS_AT_ONCE);
      const write = writer(bootstrap);
      const tail = await start('Tail', 'counted');

      const first = await instance('a');
      await first.line(RUNNING);
      await expectCounts(tail, await write(300));
      await first.process.stop('SIGTERM');
      expect(first.lines).toContain('{"state":"CLOSED"}');

      // Nothing of the state is left but the changelog.
      let written = await write(300);
      const second = await instance('b');
      await second.line(RESTORED);
      await expectCounts(tail, written);

      // Killed until a transaction was open that had reached the output: its counts must not be read.
      let running = second;
      for (let kills = 0; kills < KILLS_MAX && abortedIn(broker, 'counted') === 0; kills++) {
        written = await write(3_000);
        await expect.poll(() => isOpenIn(broker, 'counted'), SOON).toBe(true);
        await running.process.stop('SIGKILL');
        running = await instance('b');
        await expectCounts(tail, written);
      }
      expect(abortedIn(broker, 'counted')).toBeGreaterThan(0);

      const another = await instance('c');
      await another.line(RUNNING);
      await expectCounts(tail, await write(300));
      for (const { lines } of [first, second, running, another]) {
        expect(lines.filter((line) => line.includes('failed'))).toEqual([]);
      }
    },
  );
});
