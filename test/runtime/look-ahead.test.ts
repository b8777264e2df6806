/** Looking ahead changes nothing but the time it takes: hashes in step, and which store they are for. */
import { describe, expect, test } from 'vitest';
import {
  bytes,
  count,
  filter,
  mapValues,
  repartition,
  type Serde,
  selectKey,
  string,
  to,
  topology,
} from '../../src/index.ts';
import { murmur2 } from '../../src/kafka/records/murmur2.ts';
import { parseFetched } from '../../src/kafka/records/parse-fetched.ts';
import { RecordCursor } from '../../src/kafka/records/record-cursor.ts';
import { LookAhead, storeOfKeys } from '../../src/runtime/look-ahead.ts';
import type { SourceNode } from '../../src/topology/node.ts';
import { fetchedBytes } from './bench.ts';

const text = string();

function chunkOf(keys: readonly (string | null)[]) {
  const bytes = fetchedBytes(
    keys.map((key) => ({ key, value: 'v' })),
    0,
  );
  return parseFetched(bytes, {
    fetchOffset: 0,
    isolation: 'read_committed',
    abortedTransactions: null,
  });
}

describe('hashes', () => {
  test('are those of the keys, in step with the cursor, through chunks of any size', () => {
    const warmed: number[] = [];
    const ahead = new LookAhead({
      warm: (hashes, count) => warmed.push(...hashes.subarray(0, count)),
    });
    const cursor = new RecordCursor();
    for (const size of [1, 63, 64, 65, 0, 200]) {
      const keys = Array.from({ length: size }, (_, i) =>
        i % 7 === 3 ? null : `key-${size}-${i}`,
      );
      const chunk = chunkOf(keys);
      cursor.load(chunk);
      ahead.load(chunk);
      for (const key of keys) {
        expect(cursor.next()).toBe(true);
        const hash = ahead.next();
        if (key !== null) expect(hash).toBe(murmur2(Buffer.from(key), 0, key.length));
      }
      expect(cursor.next()).toBe(false);
      expect(ahead.next()).toBe(-1);
    }
    expect(warmed).toHaveLength(1 + 63 + 64 + 65 + 200);
  });

  test('are unknown behind what cannot be decoded, which is not reported here', () => {
    const ahead = new LookAhead({ warm: () => 0 });
    const chunk = chunkOf(['a', 'b', 'c']);
    const [batch] = chunk.batches;
    // The length of the second record, one byte behind the first, is of no record.
    const first = batch!.buffer[batch!.start]! >> 1;
    batch!.buffer[batch!.start + 1 + first] = 0x7e;
    ahead.load(chunk);
    expect(ahead.next()).toBe(murmur2(Buffer.from('a'), 0, 1));
    expect(ahead.next()).toBe(-1);
    expect(ahead.next()).toBe(-1);
  });
});

describe('the store of the keys', () => {
  const storeOf = (build: (stream: ReturnType<typeof sourceOf>) => void): string | null => {
    const app = topology('t');
    build(sourceOf(app));
    const { nodes } = app.build();
    return storeOfKeys(nodes[0] as SourceNode, nodes);
  };
  const sourceOf = (app: ReturnType<typeof topology>) =>
    app.stream('in', { key: text, value: text });
  const counts = () => count<string, string>({ name: 'counts', key: text });
  const out = () => to('out', { key: text, value: bytes() as unknown as Serde<number> });

  test('is the one in which the keys are looked up as they came', () => {
    expect(storeOf((s) => s.pipe(counts(), out()))).toBe('counts');
    expect(
      storeOf((s) =>
        s.pipe(
          filter(() => true),
          mapValues((value) => value),
          counts(),
          out(),
        ),
      ),
    ).toBe('counts');
  });

  test('is none when the keys change or take another form on the way, or nothing is counted', () => {
    const same = { ...text } as Serde<string>;
    expect(storeOf((s) => s.pipe(count({ name: 'counts', key: same }), out()))).toBe(null);
    expect(storeOf((s) => s.pipe(to('out', { key: text, value: text })))).toBe(null);
    expect(
      storeOf((s) =>
        s.pipe(
          selectKey((record) => record.value),
          repartition({ name: 'by-value', key: text, value: text }),
          counts(),
          out(),
        ),
      ),
    ).toBe(null);
  });
});
