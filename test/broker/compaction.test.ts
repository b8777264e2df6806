import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BrokerOptions } from '../../src/broker/options.ts';
import { KafkaErrorCode as Code } from '../../src/kafka/protocol/error-codes.ts';
import { type Client, stage as openStage, type Producer } from './client.ts';

const ID = 'app-in-0';
const DELETE_RETENTION_MS = 60_000;

/** A compacted topic `t`; `end` finishes a transaction, markers included. */
function stage(options: Partial<BrokerOptions> = {}) {
  const staged = openStage(options);
  const { client, ports, broker } = staged;
  client.createTopic('t', 1, {
    'cleanup.policy': 'compact',
    'delete.retention.ms': String(DELETE_RETENTION_MS),
  });
  const write = (keys: string, values: readonly (string | null)[] = [...keys]) =>
    client.produce('t', 0, { keys: [...keys], values }).errorCode;
  const compact = () => broker.clean('t');
  const end = (producer: Producer, result: 'commit' | 'abort') => {
    const next = client.endV2(ID, producer, result);
    ports.advance(20);
    return next;
  };
  return { ...staged, write, compact, end };
}

function writeIn(client: Client, { producerId, producerEpoch }: Producer, keys: string) {
  return client.produce(
    't',
    0,
    {
      keys: [...keys],
      values: [...keys].map((key) => `${key}${producerEpoch}`),
      producerId,
      epoch: producerEpoch,
      sequence: 0,
      transactional: 'transactional',
    },
    ID,
    12,
  ).errorCode;
}

/** Every record as `offset key=value`, every other batch as what it is. */
function content(client: Client) {
  const { batches } = client.fetch('t', 0, 0, { isolation: 'read_uncommitted' });
  return batches.flatMap(({ kind, lastOffset, baseOffset, records }) => {
    if (kind !== 'data') return [`${baseOffset} ${kind}`];
    if (records.length === 0) return [`${baseOffset}-${lastOffset} empty`];
    return records.map(({ offset, key, value }) => `${offset} ${key}=${value ?? ''}`);
  });
}

describe('rule 18: compaction', () => {
  test('keeps the latest value of each key with its offset, and the last batch whole', () => {
    const { client, write, compact } = stage();
    write('aba', ['1', '2', '3']);
    write('bc', ['4', '5']);
    write('aa', ['6', '7']);
    compact();
    // The last batch is in the active segment: what it supersedes is not yet known to be.
    expect(content(client)).toEqual(['2 a=3', '3 b=4', '4 c=5', '5 a=6', '6 a=7']);
    expect(client.fetch('t', 0, 0).highWatermark).toBe(7);
    write('z');
    compact();
    expect(content(client)).toEqual(['3 b=4', '4 c=5', '6 a=7', '7 z=z']);
  });

  test('leaves base and last offset of a batch, so that a reader goes on behind it', () => {
    const { client, write, compact } = stage();
    write('aab', ['1', '2', '3']);
    write('bz', ['4', '5']);
    write('z');
    compact();
    const { batches } = client.fetch('t', 0, 0);
    expect(batches.map(({ baseOffset, lastOffset }) => [baseOffset, lastOffset])).toEqual([
      [0, 2],
      [3, 4],
      [5, 5],
    ]);
    // In the middle of a gap the next batch is given.
    expect(client.fetch('t', 0, 2).batches[0]!.baseOffset).toBe(0);
    expect(client.produce('t', 0, { values: ['next'] }).baseOffset).toBe(6);
  });

  test('never goes above the last stable offset', () => {
    const { client, write, compact, end } = stage();
    write('a', ['old']);
    const producer = client.init(ID);
    writeIn(client, producer, 'b');
    write('a', ['new']);
    write('z');
    compact();
    expect(content(client)).toEqual(['0 a=old', '1 b=b0', '2 a=new', '3 z=z']);
    end(producer, 'commit');
    write('z');
    compact();
    expect(content(client)).toEqual(['1 b=b0', '2 a=new', '3 z=z', '4 commit', '5 z=z']);
  });

  test('takes no aborted value for the latest one, and removes it', () => {
    const { client, write, compact, end } = stage();
    write('a', ['committed']);
    const producer = client.init(ID);
    writeIn(client, producer, 'a');
    end(producer, 'abort');
    write('z');
    compact();
    expect(content(client)).toEqual(['0 a=committed', '2 abort', '3 z=z']);
    const { abortedTransactions } = client.fetch('t', 0, 0);
    expect(abortedTransactions).toMatchObject([{ firstOffset: 1 }]);
  });

  test('keeps a marker for delete.retention.ms after the data of its transaction went', () => {
    const { client, ports, write, compact, end } = stage();
    let producer = client.init(ID);
    writeIn(client, producer, 'a');
    producer = end(producer, 'abort');
    writeIn(client, producer, 'b');
    end(producer, 'commit');
    write('b');
    write('z');
    compact();
    // The first compaction meets the aborted data still, and that of the committed transaction.
    expect(content(client)).toEqual(['1 abort', '3 commit', '4 b=b', '5 z=z']);
    compact();
    ports.advance(DELETE_RETENTION_MS - 1);
    compact();
    expect(content(client)).toEqual(['1 abort', '3 commit', '4 b=b', '5 z=z']);
    expect(client.fetch('t', 0, 0).abortedTransactions).toEqual([]);
    ports.advance(1);
    compact();
    // The last marker of an active producer stays, empty, for its epoch.
    expect(content(client)).toEqual(['3-3 empty', '4 b=b', '5 z=z']);
  });

  test('keeps a tombstone for delete.retention.ms after the first compaction that met it', () => {
    const { client, ports, write, compact } = stage();
    write('ab', ['1', '2']);
    write('ac', [null, '3']);
    write('z');
    ports.advance(10 * DELETE_RETENTION_MS);
    compact();
    expect(content(client)).toEqual(['1 b=2', '2 a=', '3 c=3', '4 z=z']);
    ports.advance(DELETE_RETENTION_MS - 1);
    compact();
    expect(content(client)).toContain('2 a=');
    ports.advance(1);
    compact();
    expect(content(client)).toEqual(['1 b=2', '3 c=3', '4 z=z']);
  });

  test('leaves timestamps as they are where it writes a delete horizon', () => {
    const { client, write, compact } = stage();
    const at = 1_600_000_000_000;
    const spec = { keys: ['a', 'b', 'c'], values: ['1', null, '3'], timestampStep: 5 };
    client.produce('t', 0, { ...spec, timestamp: at });
    write('a');
    write('z');
    compact();
    const { batches } = client.fetch('t', 0, 0);
    expect(batches[0]!.records).toEqual([
      { offset: 1, timestamp: at + 5, key: 'b', value: null },
      { offset: 2, timestamp: at + 10, key: 'c', value: '3' },
    ]);
  });

  test('keeps an empty batch for the sequence of an active producer', () => {
    const { client, write, compact } = stage();
    const { producerId } = client.init(null);
    const spec = { producerId, epoch: 0, keys: ['a', 'b'], values: ['1', '2'] };
    client.produce('t', 0, { ...spec, sequence: 0 });
    client.produce('t', 0, { ...spec, sequence: 2 });
    write('ab');
    write('z');
    compact();
    expect(content(client)).toEqual(['2-3 empty', '4 a=a', '5 b=b', '6 z=z']);
    expect(client.fetch('t', 0, 0).batches[0]).toMatchObject({ producerId, sequence: 2 });
    expect(client.produce('t', 0, { ...spec, sequence: 2 }).baseOffset).toBe(2);
    expect(client.produce('t', 0, { ...spec, sequence: 4 }).errorCode).toBe(Code.NONE);
  });

  test('waits for min.compaction.lag.ms', () => {
    const { client, ports, broker } = openStage();
    client.createTopic('t', 1, {
      'cleanup.policy': 'compact',
      'min.compaction.lag.ms': '1000',
    });
    for (const value of ['1', '2', '3']) client.produce('t', 0, { key: 'a', values: [value] });
    broker.clean();
    expect(content(client)).toEqual(['0 a=1', '1 a=2', '2 a=3']);
    ports.advance(1_000);
    broker.clean();
    expect(content(client)).toEqual(['1 a=2', '2 a=3']);
  });

  test('reads compressed batches', () => {
    const { client, compact, write } = stage();
    const spec = { keys: ['a', 'b'], values: ['1', '2'], compression: 'gzip' } as const;
    expect(client.produce('t', 0, spec).errorCode).toBe(Code.NONE);
    write('a');
    write('z');
    compact();
    expect(content(client)).toEqual(['1 b=2', '2 a=a', '3 z=z']);
  });

  test('shows a reader the same table as before, whatever was written', () => {
    const step = fc.oneof(
      fc.record({ keys: fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 3 }) }),
      fc.record({ deletes: fc.constantFrom('a', 'b', 'c') }),
      fc.record({
        result: fc.constantFrom('commit' as const, 'abort' as const),
        keys: fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 3 }),
      }),
      fc.record({ compacts: fc.constantFrom(0, 1, DELETE_RETENTION_MS) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const { client, ports, write, compact, end } = stage();
        let producer: Producer = client.init(ID);
        const model = new Map<string, string>();
        steps.forEach((each, index) => {
          if ('compacts' in each) {
            ports.advance(each.compacts);
            compact();
          } else if ('deletes' in each) {
            write(each.deletes, [null]);
            model.delete(each.deletes);
          } else if ('result' in each) {
            writeIn(client, producer, each.keys);
            if (each.result === 'commit') {
              for (const key of each.keys) model.set(key, `${key}${producer.producerEpoch}`);
            }
            producer = end(producer, each.result);
          } else if (each.keys !== '') {
            write(
              each.keys,
              [...each.keys].map((key) => `${key}-${index}`),
            );
            for (const key of each.keys) model.set(key, `${key}-${index}`);
          }
        });
        const before = table(client);
        const { highWatermark } = client.fetch('t', 0, 0);
        compact();
        expect(table(client)).toEqual(before);
        expect(before).toEqual(model);
        expect(client.fetch('t', 0, 0).highWatermark).toBe(highWatermark);
      }),
      { numRuns: 150 },
    );
  });
});

/** The committed table of a topic, read with the aborted transactions of the answer. */
function table(client: Client): Map<string, string> {
  const { batches, abortedTransactions } = client.fetch('t', 0, 0);
  const starts = [...(abortedTransactions ?? [])].sort((a, b) => a.firstOffset - b.firstOffset);
  const aborted = new Set<number>();
  const rows = new Map<string, string>();
  for (const { kind, baseOffset, producerId, records } of batches) {
    while (starts[0] !== undefined && starts[0].firstOffset <= baseOffset) {
      aborted.add(starts.shift()!.producerId);
    }
    if (kind === 'abort') aborted.delete(producerId);
    if (kind !== 'data' || aborted.has(producerId)) continue;
    for (const { key, value } of records) {
      if (value === null) rows.delete(key);
      else rows.set(key, value);
    }
  }
  return rows;
}
