/** The scope of a step against a slow model: an array per partition, copied at each mark. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseFetched } from '../../src/kafka/records/parse-fetched.ts';
import { RecordCursor } from '../../src/kafka/records/record-cursor.ts';
import { sealBatch } from '../../src/kafka/records/seal-batch.ts';
import { encodedBytes, type StagedOutput, StepScope } from '../../src/transaction/scope.ts';

const OPTIONS = { batchBytesMax: 200, recordBytesMax: 150 };

function append(scope: StepScope, topic: string, partition: number, value: string): void {
  const bytes = Buffer.from(value);
  scope.append(scope.topic(topic, 3), partition, 1_000, null, -1, -1, bytes, 0, bytes.length, null);
}

/** Values by `topic-partition`, in order. */
function contentOf(outputs: readonly StagedOutput[]): Record<string, string[]> {
  const content: Record<string, string[]> = {};
  for (const { topic, partition, batches } of outputs) {
    const values: string[] = [];
    for (const batch of batches) {
      const ids = { producerId: 1, producerEpoch: 0, baseSequence: 0 };
      const bytes = sealBatch(batch, { ...ids, transactional: 'transactional' });
      const cursor = new RecordCursor();
      cursor.load(
        parseFetched(bytes, {
          fetchOffset: 0,
          isolation: 'read_uncommitted',
          abortedTransactions: null,
        }),
      );
      while (cursor.next()) {
        values.push(cursor.buffer.toString('utf8', cursor.valueStart, cursor.valueEnd));
      }
    }
    content[`${topic}-${partition}`] = values;
  }
  return content;
}

const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      topic: fc.constantFrom('a', 'b'),
      partition: fc.nat({ max: 2 }),
      size: fc.nat({ max: 120 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('mark' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rollback' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('seal' as const) }) },
);

test('marks and rollbacks leave what a copy of everything would', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const scope = new StepScope(OPTIONS);
      let model: Record<string, string[]> = {};
      let marked: Record<string, string[]> = {};
      let bytesAtMark = 0;
      const mark = (): void => {
        scope.mark();
        marked = structuredClone(model);
        bytesAtMark = scope.bytes;
      };
      mark();
      actions.forEach((each, i) => {
        if (each.kind === 'append') {
          const value = `${i}:`.padEnd(each.size, 'x');
          append(scope, each.topic, each.partition, value);
          const at = `${each.topic}-${each.partition}`;
          model[at] = [...(model[at] ?? []), value];
        } else if (each.kind === 'mark') mark();
        else if (each.kind === 'rollback') {
          scope.rollback();
          model = structuredClone(marked);
          expect(scope.bytes).toBe(bytesAtMark);
          // One record is undone once; the next one begins with a mark.
          mark();
        } else {
          expect(contentOf(scope.seal())).toEqual(model);
          expect(scope.isEmpty).toBe(true);
          model = {};
          mark();
        }
      });
      expect(contentOf(scope.seal())).toEqual(
        Object.fromEntries(Object.entries(model).filter(([, values]) => values.length > 0)),
      );
    }),
    { numRuns: 300 },
  );
});

test('a sealed scope is empty, and what it handed over does not change any more', () => {
  const scope = new StepScope(OPTIONS);
  append(scope, 'a', 0, 'first');
  const sealed = scope.seal();
  append(scope, 'a', 0, 'second');
  expect(contentOf(sealed)).toEqual({ 'a-0': ['first'] });
  expect(contentOf(scope.seal())).toEqual({ 'a-0': ['second'] });
  expect(scope.seal()).toEqual([]);
});

test('a record that exceeds the bound is refused and leaves nothing', () => {
  const scope = new StepScope(OPTIONS);
  scope.mark();
  append(scope, 'a', 1, 'x'.repeat(150));
  expect(() => append(scope, 'a', 1, 'x'.repeat(151))).toThrowError(
    expect.objectContaining({
      code: 'RECORD_TOO_LARGE',
      decision: 'record',
      at: { topic: 'a', partition: 1 },
    }),
  );
  expect(contentOf(scope.seal())).toEqual({ 'a-1': ['x'.repeat(150)] });
});

test('bytes count key, value and headers', () => {
  expect(encodedBytes(3, 4, null)).toBe(7);
  const headers = [
    { key: 'ä', value: Buffer.alloc(5) },
    { key: 'b', value: null },
  ];
  expect(encodedBytes(3, 4, headers)).toBe(7 + 2 + 5 + 1);
});

test('an empty value takes room, so that a scope with records is never empty', () => {
  const scope = new StepScope(OPTIONS);
  expect(scope.isEmpty).toBe(true);
  append(scope, 'a', 0, '');
  expect(scope.isEmpty).toBe(false);
});
