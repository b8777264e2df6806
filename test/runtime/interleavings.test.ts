/**
 * Calls that end in any order, steps that are cut anywhere, commits that succeed, fail, or are lost:
 * what is committed in the end is the serial evaluation of the input.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  count,
  deadLetter,
  long,
  mapAsync,
  mapValues,
  retry,
  string,
  to,
  topology,
} from '../../src/index.ts';
import { brokerError, KafkaErrorCode } from '../../src/kafka/protocol/error-codes.ts';
import { systemPorts } from '../../src/ports.ts';
import type { Committed } from '../../src/runtime/committed.ts';
import { type Asked, asCount, asText, Bench, written } from './bench.ts';

const text = string();
const LOST = brokerError(KafkaErrorCode.NETWORK_EXCEPTION, 'EndTxn');

/** Calls under way, settled in any order. */
class Calls {
  readonly open: (() => void)[] = [];

  readonly call = <T>(value: T, outcome: 'good' | 'bad'): Promise<T> =>
    new Promise((resolve, reject) => {
      this.open.push(() => (outcome === 'good' ? resolve(value) : reject(new Error('no'))));
    });
}

/** Counts before the first call and after it; a bad record has been counted twice when it fails. */
function application(calls: Calls, order: 'key' | 'partition') {
  const outcome = (record: { meta: { headers: readonly { key: string }[] } }) =>
    record.meta.headers.length > 0 ? 'bad' : 'good';
  const app = topology('calls');
  const counted = app
    .stream('in', { key: text, value: text, onError: retry(1, deadLetter('dead')) })
    .pipe(
      count({ name: 'before', key: text }),
      mapAsync((n) => calls.call(n, 'good'), { concurrency: 3, order }),
      count({ name: 'after', key: text }),
    );
  counted.pipe(
    mapAsync((n, record) => calls.call(n, outcome(record)), { concurrency: 2, order }),
    to('out', { key: text, value: long() }),
  );
  counted.pipe(
    mapValues((n) => -n),
    to('out', { key: text, value: long() }),
  );
  return app;
}

interface Row {
  readonly key: string;
  readonly outcome: 'good' | 'bad';
}

function expectedOf(rows: readonly Row[]) {
  const counts = new Map<string, number>();
  const out: string[] = [];
  const changelog: string[] = [];
  const dead: string[] = [];
  for (const { key, outcome } of rows) {
    if (outcome === 'bad') {
      dead.push(`${key}=x`);
      continue;
    }
    const n = (counts.get(key) ?? 0) + 1;
    counts.set(key, n);
    changelog.push(`${key}=${n}`);
    out.push(`${key}=${-n}`, `${key}=${n}`);
  }
  return { out, before: changelog, after: changelog, dead, offset: rows.length };
}

const action = fc.oneof(
  { weight: 4, arbitrary: fc.constant('work' as const) },
  { weight: 8, arbitrary: fc.nat({ max: 9 }) },
  { weight: 3, arbitrary: fc.constant('seal' as const) },
  { weight: 3, arbitrary: fc.constant('confirm' as const) },
  { weight: 1, arbitrary: fc.constant('refuse' as const) },
  { weight: 1, arbitrary: fc.constant('lose' as const) },
);
const row = fc.record({
  key: fc.constantFrom('a', 'b', 'c'),
  outcome: fc.constantFrom<Row['outcome'][]>('good', 'good', 'good', 'good', 'bad'),
});
const shape = fc.record({
  order: fc.constantFrom<('key' | 'partition')[]>('key', 'partition'),
  asyncWindowMax: fc.integer({ min: 1, max: 8 }),
});

class Game {
  readonly calls = new Calls();
  readonly bench: Bench;
  readonly #rows: readonly Row[];
  readonly committed = { out: [], before: [], after: [], dead: [], offset: 0 } as {
    out: string[];
    before: string[];
    after: string[];
    dead: string[];
    offset: number;
  };
  #asked: Asked | null = null;

  constructor(rows: readonly Row[], order: 'key' | 'partition', asyncWindowMax: number) {
    this.#rows = rows;
    this.bench = new Bench(application(this.calls, order), { options: { asyncWindowMax } });
    this.#put(0);
  }

  async play(next: 'work' | 'seal' | 'confirm' | 'refuse' | 'lose' | number): Promise<void> {
    if (next === 'work') this.bench.work();
    else if (next === 'seal') this.#asked ??= this.bench.seal();
    else if (typeof next === 'number') {
      if (this.calls.open.length > 0)
        this.calls.open.splice(next % this.calls.open.length, 1)[0]!();
    } else if (this.#asked !== null) await this.#end(this.#asked, next);
    await systemPorts.timers.turn();
    if (this.bench.task.failure !== null) throw this.bench.task.failure;
  }

  async #end(asked: Asked, how: 'confirm' | 'refuse' | 'lose'): Promise<void> {
    this.#asked = null;
    const { task } = this.bench;
    const before = task.committed;
    if (how !== 'refuse') this.#take(asked);
    if (how === 'confirm') {
      asked.confirm();
      await task.settled();
      return;
    }
    asked.refuse(LOST);
    await task.settled();
    // Calls go on ending while the outcome is looked up.
    for (const call of this.calls.open.splice(0, 2)) call();
    await systemPorts.timers.turn();
    const resolution = await task.resolve(async () => (how === 'lose' ? left(asked) : before));
    expect(resolution).toBe(how === 'lose' ? 'committed' : 'undone');
    if (how === 'refuse') this.#put(before.offsets[0]!);
  }

  #take({ step }: Asked): void {
    this.committed.out.push(...written(step, 'out').map(asCount));
    this.committed.before.push(...written(step, 'before-changelog').map(asCount));
    this.committed.after.push(...written(step, 'after-changelog').map(asCount));
    this.committed.dead.push(...written(step, 'dead').map(asText));
    this.committed.offset = step.offsets.partitions[0]!.offset;
  }

  #put(from: number): void {
    const rows = this.#rows.slice(from).map(({ key, outcome }) => ({
      key,
      value: 'x',
      at: 1_000,
      headers: outcome === 'bad' ? [{ key: 'bad', value: null }] : [],
    }));
    if (rows.length > 0) this.bench.put('in', rows);
  }

  async drain(): Promise<void> {
    for (let guard = 0; this.committed.offset < this.#rows.length; guard += 1) {
      if (guard > 2_000) throw new Error('the task does not come to an end');
      await this.play('work');
      await this.play(0);
      if (guard % 7 === 0) {
        await this.play('seal');
        await this.play('confirm');
      }
    }
  }
}

function left({ step }: Asked): Committed {
  const [, stepId, time] = step.offsets.partitions[0]!.metadata.split(';');
  return {
    stepId: stepId!,
    offsets: step.offsets.partitions.map(({ offset }) => offset),
    times: [Number(time)],
  };
}

test('whatever ends when, the committed outcome is that of one record after the other', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { maxLength: 20 }),
      shape,
      fc.array(action, { maxLength: 80 }),
      async (rows, { order, asyncWindowMax }, actions) => {
        const game = new Game(rows, order, asyncWindowMax);
        for (const next of actions) await game.play(next);
        await game.drain();
        expect(game.committed).toEqual(expectedOf(rows));
      },
    ),
    { numRuns: 150 },
  );
});
