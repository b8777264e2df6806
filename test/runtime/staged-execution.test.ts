/** Records under way at once give what the serial evaluation gives, whatever finishes first. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EscapementError } from '../../src/errors.ts';
import { parseFetched } from '../../src/kafka/records/parse-fetched.ts';
import { RecordCursor } from '../../src/kafka/records/record-cursor.ts';
import { sealBatch } from '../../src/kafka/records/seal-batch.ts';
import { systemPorts } from '../../src/ports.ts';
import { TaskContext } from '../../src/runtime/context.ts';
import { compileGraph } from '../../src/runtime/graph.ts';
import type { Input } from '../../src/runtime/input.ts';
import { Progress } from '../../src/runtime/progress.ts';
import { RecordPolicies } from '../../src/runtime/record-policy.ts';
import { StagedExecution } from '../../src/runtime/staged-execution.ts';
import { StreamTime } from '../../src/runtime/stream-time.ts';
import { TaskStores } from '../../src/runtime/task-stores.ts';
import { long } from '../../src/serde/long.ts';
import { string } from '../../src/serde/string.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import type { RecordPolicy, TopologyNode } from '../../src/topology/node.ts';
import { Origin, Rec } from '../../src/topology/record.ts';
import { stages } from '../../src/topology/stages.ts';
import { type StagedOutput, StepScope } from '../../src/transaction/scope.ts';
import { steadyPorts } from '../exactness/steady-time.ts';

interface Row {
  readonly key: string;
  /** `bad`: the asynchronous call fails, every time. */
  readonly kind: 'good' | 'bad';
}

interface Shape {
  readonly order: 'key' | 'partition';
  /** Where the count stands, seen from the asynchronous call. */
  readonly count: 'before' | 'after';
}

/** A task without Kafka whose asynchronous calls are settled by the test. */
class Bench {
  readonly calls: { readonly offset: number; settle(): void }[] = [];
  readonly scope = new StepScope({ batchBytesMax: 500_000, recordBytesMax: 1_000_000 });
  readonly execution: StagedExecution;
  readonly progress: Progress;
  readonly stores: TaskStores;
  readonly #source: Extract<TopologyNode, { kind: 'source' }>;
  readonly #process: Input['process'];

  constructor(rows: readonly Row[], shape: Shape, onError: RecordPolicy) {
    const text = string();
    const nodes: TopologyNode[] = [
      {
        kind: 'source',
        id: 'source',
        parents: [],
        topic: 'in',
        key: text,
        value: text,
        timestamp: null,
        onError,
        nulls: 'drop',
        repartition: null,
      },
      {
        kind: 'mapAsync',
        id: 'call',
        parents: [shape.count === 'before' ? 'count' : 'source'],
        concurrency: 4,
        order: shape.order,
        timeoutMs: 60_000,
        map: (record) => this.#call(record.meta.offset, rows[record.meta.offset]!, record.value),
      },
      {
        kind: 'aggregate',
        id: 'count',
        parents: [shape.count === 'before' ? 'source' : 'call'],
        store: 'counts',
        init: () => 0,
        add: (n) => Number(n) + 1,
        key: text,
        value: long(),
      },
      {
        kind: 'sink',
        id: 'sink',
        parents: [shape.count === 'before' ? 'call' : 'count'],
        topic: 'out',
        key: text,
        value: long(),
      },
    ];
    const plan = { name: 'in', nodes, stages: stages({ nodes }) };
    this.stores = new TaskStores(plan);
    const context = new TaskContext(0, this.scope);
    context.keyValueStores.set('counts', {
      store: this.stores.keyValue.get('counts')!,
      changelog: this.scope.topic('changelog', 1),
    });
    const graph = compileGraph({
      nodes,
      stages: plan.stages,
      context,
      outputTopic: () => this.scope.topic('out', 1),
      defer: (target, record) => this.execution.defer(target, record),
    });
    this.progress = new Progress([{ topic: 'in', partition: 0 }], [0], [-1]);
    this.execution = new StagedExecution({
      parts: {
        task: 'in_0',
        graph,
        context,
        scope: this.scope,
        stores: this.stores.all,
        time: new StreamTime([-1]),
        progress: this.progress,
        policies: new RecordPolicies('in_0', silentLog, (name) => this.scope.topic(name, 1)),
      },
      ports: steadyPorts,
      windowMax: 16,
      storesByStage: this.stores.byStage,
      speakers: [],
      wake: () => {},
    });
    const entry = graph.entries.get('in')!;
    this.#source = entry.node;
    this.#process = entry.process;
  }

  input(offset: number, key: string): Input {
    const bytes = Buffer.from(key);
    const text = string();
    const origin = new Origin('in', 0, offset, 1_000 + offset, null);
    const serdes = { key: text, value: text };
    const record = Rec.fromBytes(origin, serdes, bytes, 0, bytes.length, 0, bytes.length);
    return {
      record,
      source: this.#source,
      process: this.#process,
      index: 0,
      nextOffset: offset + 1,
      extractorFailure: undefined,
    };
  }

  #call(offset: number, row: Row, value: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        if (row.kind === 'good') resolve(value);
        else reject(new Error('the call failed'));
      };
      this.calls.push({ offset, settle });
    });
  }
}

function written(outputs: readonly StagedOutput[], topic: string): string[] {
  const lines: string[] = [];
  for (const output of outputs.filter((each) => each.topic === topic)) {
    for (const batch of output.batches) {
      const ids = { producerId: -1, producerEpoch: -1, baseSequence: -1 };
      const bytes = sealBatch(batch, { ...ids, transactional: 'plain' });
      const cursor = new RecordCursor();
      cursor.load(
        parseFetched(bytes, {
          fetchOffset: 0,
          isolation: 'read_uncommitted',
          abortedTransactions: null,
        }),
      );
      while (cursor.next()) {
        const key = cursor.buffer.toString('utf8', cursor.keyStart, cursor.keyEnd);
        const isLong = cursor.valueEnd - cursor.valueStart === 8 && topic !== 'dead';
        const value = isLong ? Number(cursor.buffer.readBigInt64BE(cursor.valueStart)) : '';
        lines.push(`${key}=${value}`);
      }
    }
  }
  return lines;
}

async function drive(bench: Bench, rows: readonly Row[], pick: (n: number) => number) {
  let next = 0;
  for (let guard = 0; guard < 10_000; guard += 1) {
    const redo = bench.execution.takeRedo();
    if (redo !== null) bench.execution.run(redo);
    else if (next < rows.length && bench.execution.hasRoom) {
      bench.execution.run(bench.input(next, rows[next]!.key));
      next += 1;
    } else if (bench.execution.unreleased === 0) return;
    else if (bench.calls.length > 0) {
      const [call] = bench.calls.splice(pick(bench.calls.length), 1);
      call!.settle();
      await systemPorts.timers.turn();
    } else await systemPorts.timers.turn();
    if (bench.execution.failure !== null) throw bench.execution.failure;
  }
  throw new Error('the execution does not come to an end');
}

const row = fc.record({
  key: fc.constantFrom('a', 'b', 'c'),
  kind: fc.constantFrom<Row['kind'][]>('good', 'good', 'good', 'bad'),
});

const shape = fc.record({
  order: fc.constantFrom<Shape['order'][]>('key', 'partition'),
  count: fc.constantFrom<Shape['count'][]>('before', 'after'),
});

test('counts, dead letters and offsets are those of the serial evaluation', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { maxLength: 24 }),
      shape,
      fc.infiniteStream(fc.nat()),
      async (rows, shaped, choices) => {
        const bench = new Bench(rows, shaped, { kind: 'dead-letter', topic: 'dead' });
        await drive(bench, rows, (n) => choices.next().value! % n);
        const counts = new Map<string, number>();
        const expected: string[] = [];
        for (const { key, kind } of rows) {
          if (kind === 'bad') continue;
          counts.set(key, (counts.get(key) ?? 0) + 1);
          expected.push(`${key}=${counts.get(key)}`);
        }
        const outputs = bench.scope.seal();
        expect(written(outputs, 'out')).toEqual(expected);
        expect(written(outputs, 'changelog')).toEqual(expected);
        const dead = rows.filter(({ kind }) => kind === 'bad').map(({ key }) => `${key}=`);
        expect(written(outputs, 'dead')).toEqual(dead);
        expect(bench.progress.offsets).toEqual([rows.length]);
      },
    ),
    { numRuns: 100 },
  );
});

test('a failure undoes the later records that may have read its writes', async () => {
  const rows: Row[] = [
    { key: 'a', kind: 'bad' },
    { key: 'a', kind: 'good' },
    { key: 'a', kind: 'good' },
  ];
  const bench = new Bench(rows, { order: 'partition', count: 'before' }, { kind: 'skip' });
  await drive(bench, rows, (n) => n - 1);
  expect(written(bench.scope.seal(), 'out')).toEqual(['a=1', 'a=2']);
});

test('a failed record stops the task under the policy fail, with its coordinates', async () => {
  const rows: Row[] = [{ key: 'a', kind: 'bad' }];
  const bench = new Bench(rows, { order: 'key', count: 'after' }, { kind: 'fail' });
  const failure = await drive(bench, rows, () => 0).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(EscapementError);
  expect(failure).toMatchObject({ code: 'RECORD_FAILED', at: { topic: 'in', offset: 0 } });
});
