import { describe, expect, it } from 'vitest';
import { BatchWriter, sealBatch } from '../../src/kafka/records/batch-writer.ts';
import { murmur2 } from '../../src/kafka/records/murmur2.ts';
import { type FetchedRecords, parseFetched } from '../../src/kafka/records/parse-fetched.ts';
import { writeWindowKey } from '../../src/state/changelog.ts';
import { KeyValueStore } from '../../src/state/key-value-store.ts';
import { type RestoreSpec, restoreFrom } from '../../src/state/restore.ts';
import { WindowStore } from '../../src/state/window-store.ts';

interface Write {
  readonly key: Buffer | null;
  readonly value: string | null;
  readonly timestamp: number;
}

/** The writes as one batch at an offset, as a fetch would bring it. */
function chunk(baseOffset: number, writes: readonly Write[], fetchOffset = baseOffset) {
  const writer = new BatchWriter();
  for (const { key, value, timestamp } of writes) {
    const bytes = value === null ? null : Buffer.from(value);
    const keyBytes = key?.length ?? -1;
    const valueBytes = bytes?.length ?? -1;
    writer.append(timestamp, key, key ? 0 : -1, keyBytes, bytes, bytes ? 0 : -1, valueBytes, null);
  }
  const sealed = sealBatch(writer.take()[0]!, {
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    transactional: 'plain',
  });
  sealed.writeBigInt64BE(BigInt(baseOffset), 0);
  return parseFetched(sealed, {
    fetchOffset,
    isolation: 'read_committed',
    abortedTransactions: null,
  });
}

async function* all(chunks: readonly FetchedRecords[]): AsyncGenerator<FetchedRecords> {
  yield* chunks;
}

function write(key: string, value: string | null, timestamp = 1): Write {
  return { key: Buffer.from(key), value, timestamp };
}

function windowWrite(key: string, start: number, value: string | null, sequence = 0): Write {
  const bytes = Buffer.alloc(key.length + 12);
  writeWindowKey(bytes, 0, Buffer.from(key), 0, key.length, start);
  bytes.writeInt32BE(sequence, key.length + 8);
  return { key: bytes, value, timestamp: start + 7 };
}

function spec(store: KeyValueStore | WindowStore, from: number, to: number): RestoreSpec {
  return { store, topic: 'app-store-changelog', partition: 2, from, to };
}

describe('restore', () => {
  it.each([new KeyValueStore(), new WindowStore()])(
    'tells how far it has come, chunk by chunk, until it is through',
    async (store) => {
      const seen: unknown[] = [];
      const row = (n: number) =>
        store instanceof WindowStore ? windowWrite('k', n, 'v') : write('k', `${n}`);
      const chunks = async function* () {
        seen.push({ ...store.restoring });
        yield chunk(2, [row(0), row(1)]);
        seen.push({ ...store.restoring });
        yield chunk(4, [row(2), row(3)]);
      };
      await restoreFrom(spec(store, 2, 6), chunks());
      const at = { topic: 'app-store-changelog', partition: 2, to: 6 };
      expect(seen).toEqual([
        { ...at, position: 2 },
        { ...at, position: 4 },
      ]);
      expect(store.restoring).toBeNull();
      await expect(restoreFrom(spec(store, 6, 9), all([]))).rejects.toThrow();
      expect(store.restoring).toBeNull();
    },
  );

  it('leaves the last value of each key, with its time, and nothing of deleted ones', async () => {
    const store = new KeyValueStore();
    const chunks = [
      chunk(0, [write('a', '1'), write('b', '1'), write('c', '')]),
      chunk(3, [write('a', '22', 5), write('b', null), write('nobody', null)]),
    ];
    const restored = await restoreFrom(spec(store, 0, 6), all(chunks));
    expect(restored).toEqual({ restored: 6, position: 6 });
    expect(
      [...store.entries('committed')].map((row) => `${row.key} ${row.value} ${row.timestamp}`),
    ).toEqual(['a 22 5', 'c  1']);
  });

  it('files rows under the hash that operators look them up with', async () => {
    const store = new KeyValueStore();
    const trailer = { partitionTrailerBytes: 2 };
    await restoreFrom({ ...spec(store, 0, 1), ...trailer }, all([chunk(0, [write('key42', 'v')])]));
    const key = Buffer.from('key42');
    expect(store.find(key, 0, 5, murmur2(key, 0, 3))).toBe(true);
  });

  it('restores windows from their changelog keys', async () => {
    const store = new WindowStore();
    const writes = [
      windowWrite('a', 3_600_000, '1'),
      windowWrite('', 0, 'x'),
      windowWrite('a', 0, 'y'),
      windowWrite('', 0, null),
    ];
    await restoreFrom(spec(store, 0, 4), all([chunk(0, writes)]));
    expect(
      [...store.entries('staged')].map((row) => `${row.windowStart} ${row.key} ${row.value}`),
    ).toEqual(['0 a y', '3600000 a 1']);
    const key = Buffer.from('a');
    expect(store.find(3_600_000, key, 0, 1, murmur2(key, 0, 1))).toBe(true);
    expect(store.timestamp).toBe(3_600_007);
  });

  it('reads neither below its start nor beyond its end', async () => {
    const store = new KeyValueStore();
    const writes = [write('a', 'old'), write('b', 'new'), write('c', 'later')];
    const restored = await restoreFrom(spec(store, 11, 12), all([chunk(10, writes, 11)]));
    expect(restored).toEqual({ restored: 1, position: 12 });
    expect([...store.entries('staged')].map((row) => String(row.key))).toEqual(['b']);
  });

  it('reads nothing when the store is at the end', async () => {
    const store = new KeyValueStore();
    const restored = await restoreFrom(spec(store, 5, 5), all([]));
    expect(restored).toEqual({ restored: 0, position: 5 });
  });

  it('is an error when the changelog ends early', async () => {
    const restoring = restoreFrom(
      spec(new KeyValueStore(), 0, 9),
      all([chunk(0, [write('a', '1')])]),
    );
    await expect(restoring).rejects.toThrow(/position=1 to=9/);
  });

  it.each<readonly [string, 'window' | 'key-value', Write, RegExp]>([
    ['a null key', 'key-value', { key: null, value: 'v', timestamp: 1 }, /has no key/],
    ['a null key', 'window', { key: null, value: 'v', timestamp: 1 }, /has no key/],
    ['a short key', 'window', write('elevenbytes', 'v'), /key of 11 bytes/],
    ['a negative window start', 'window', windowWrite('k', -1, 'v'), /window start -1/],
    ['a sequence', 'window', windowWrite('k', 0, 'v', 3), /sequence 3/],
  ])(
    'stops at a record with %s in a %s store, with its coordinates',
    async (_, kind, bad, text) => {
      const store = kind === 'window' ? new WindowStore() : new KeyValueStore();
      const good = kind === 'window' ? windowWrite('k', 0, 'v') : write('k', 'v');
      const restoring = restoreFrom(spec(store, 0, 2), all([chunk(0, [good, bad])]));
      await expect(restoring).rejects.toMatchObject({
        code: 'CHANGELOG_CORRUPT',
        message: expect.stringMatching(text),
        at: { topic: 'app-store-changelog', partition: 2, offset: 1 },
      });
    },
  );

  it('refuses a store with staged writes', async () => {
    const store = new KeyValueStore();
    store.begin(1);
    store.put(Buffer.from('k'), 0, 1, 1, Buffer.from('v'), 0, 1, 1);
    await expect(restoreFrom(spec(store, 0, 1), all([]))).rejects.toThrow(/staged writes/);
  });
});
