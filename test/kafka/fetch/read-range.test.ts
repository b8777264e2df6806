import { describe, expect, it } from 'vitest';
import type { EscapementError } from '../../../src/errors.ts';
import { endOffsets } from '../../../src/kafka/fetch/end-offsets.ts';
import { type ReadRange, readRange } from '../../../src/kafka/fetch/read-range.ts';
import { fetch } from '../../../src/kafka/protocol/fetch.ts';
import { planOf } from '../../../src/kafka/transport/faulty.ts';
import { marked } from '../marked.ts';
import { Reading, valuesOf } from './reading.ts';

const rangeOf = (reading: Reading, from: number, to: number): ReadRange => ({
  cluster: reading.cluster,
  topic: 'log',
  partition: 0,
  from,
  to,
  isolation: 'read_committed',
});

const readAll = async (range: ReadRange): Promise<{ values: string[]; position: number }> => {
  const values: string[] = [];
  let position = range.from;
  for await (const chunk of readRange(range)) {
    values.push(...valuesOf(chunk));
    position = chunk.nextOffset;
  }
  return { values, position };
};

const withLog = (reading: Reading): Reading => {
  reading.client.createTopic('log');
  return reading;
};

/** One transaction with one record. */
const transact = (reading: Reading, value: string, how: 'commit' | 'abort' | 'leave open') => {
  const producer = reading.client.init('t');
  reading.client.addPartitions('t', producer, 'log', [0]);
  reading.client.produceIn('t', producer, 'log', 0, { values: [value], sequence: 0 });
  if (how !== 'leave open') reading.client.end('t', producer, how);
  return producer;
};

describe('reading a range', () => {
  it('yields every record from one offset up to the other', async () => {
    const reading = withLog(new Reading());
    const all = Array.from({ length: 40 }, (_, index) => `${index}`);
    for (const value of all) reading.write('log', 0, value);
    const range = { ...rangeOf(reading, 7, 40), bytesPerRequest: 300 };
    expect(await readAll(range)).toEqual({ values: all.slice(7), position: 40 });
    expect(reading.transport.count(fetch.key)).toBeGreaterThan(5);
  });

  it('asks for nothing when the range is empty', async () => {
    const reading = withLog(new Reading());
    expect(await readAll(rangeOf(reading, 3, 3))).toEqual({ values: [], position: 3 });
    expect(reading.transport.count(fetch.key)).toBe(0);
  });

  it('sends the next request before it hands a chunk out', async () => {
    const reading = withLog(new Reading());
    for (const value of ['a', 'b', 'c']) reading.write('log', 0, value);
    const chunks = readRange({ ...rangeOf(reading, 0, 3), bytesPerRequest: 1 });
    await chunks.next();
    await reading.ports.timers.sleep(20);
    expect(reading.transport.count(fetch.key)).toBe(2);
    await chunks.return(undefined);
  });

  it('reaches an end that is a marker', async () => {
    const reading = withLog(new Reading());
    transact(reading, 'kept', 'commit');
    await marked(reading);
    transact(reading, 'dropped', 'abort');
    await marked(reading);
    expect(await readAll(rangeOf(reading, 0, 4))).toEqual({ values: ['kept'], position: 4 });
  });

  it('says that an open transaction holds the log, with the offset', async () => {
    const reading = withLog(new Reading());
    reading.write('log', 0, 'a');
    transact(reading, 'open', 'leave open');
    const { clock } = reading.ports;
    const begun = clock.monotonic();
    const error = await readAll(rangeOf(reading, 0, 2)).catch((e: EscapementError) => e);
    expect(error).toMatchObject({ code: 'CHANGELOG_HELD', at: { topic: 'log', offset: 1 } });
    expect(clock.monotonic() - begun).toBeGreaterThan(reading.cluster.requestTimeoutMs);
    // The wait for it is not a spin.
    expect(reading.transport.count(fetch.key)).toBeLessThan(150);
  });

  it('does not take a standstill for an open transaction that holds the log', async () => {
    const reading = withLog(new Reading());
    const producer = transact(reading, 'kept', 'leave open');
    reading.tap.change = (answer, { apiKey }) => {
      if (apiKey === fetch.key && reading.transport.count(fetch.key) === 2) {
        // The second look was answered before the process stood still; then the transaction ended.
        reading.time.stall(10 * reading.cluster.requestTimeoutMs);
        reading.client.end('t', producer, 'commit');
      }
      return answer;
    };
    expect(await readAll(rangeOf(reading, 0, 2))).toEqual({ values: ['kept'], position: 2 });
  });

  it('goes on over lost requests and answers', async () => {
    const plan = planOf([
      { apiKey: fetch.key, ordinal: 1, outcome: 'lose-request', at: 'before-send' },
      { apiKey: fetch.key, ordinal: 3, outcome: 'lose-reply', at: 'after-reply' },
      { apiKey: fetch.key, ordinal: 4, outcome: 'close', at: 'before-send' },
    ]);
    const reading = withLog(new Reading(plan));
    for (const value of ['a', 'b', 'c', 'd']) reading.write('log', 0, value);
    const range = { ...rangeOf(reading, 0, 4), bytesPerRequest: 1 };
    expect((await readAll(range)).values).toEqual(['a', 'b', 'c', 'd']);
    expect(reading.transport.struck.length).toBe(3);
  });

  it('fails at an offset that the log no longer has', async () => {
    const reading = withLog(new Reading());
    const error = await readAll(rangeOf(reading, 5, 9)).catch((e: EscapementError) => e);
    expect(error).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
  });
});

describe('the end offsets', () => {
  it('come from one answer and show an open transaction', async () => {
    const reading = withLog(new Reading());
    const ends = () => endOffsets(reading.cluster, 'log', 0);
    expect(await ends()).toEqual({ lastStableOffset: 0, highWatermark: 0, logStartOffset: 0 });
    reading.write('log', 0, 'a', 'b');
    const producer = transact(reading, 'open', 'leave open');
    expect(await ends()).toEqual({ lastStableOffset: 2, highWatermark: 3, logStartOffset: 0 });
    expect(reading.transport.count(fetch.key)).toBe(2);
    reading.client.end('t', producer, 'commit');
    await marked(reading);
    expect(await ends()).toEqual({ lastStableOffset: 4, highWatermark: 4, logStartOffset: 0 });
  });
});
