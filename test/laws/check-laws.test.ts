/** Each law can fail, alone; what keeps them all passes. */
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import {
  aggregate,
  count,
  long,
  mapAsync,
  mapValues,
  type Serde,
  string,
  to,
  topology,
} from '../../src/index.ts';
import { checkLaws, type LawOptions } from '../../src/laws/check-laws.ts';
import { wordCount } from '../../topologies/1-word-count/topology.ts';

/** Some hundred runs each, on a machine that may be busy. */
vi.setConfig({ testTimeout: 120_000 });

const text = string();
const numbers = { key: text, value: long() };
const keys = fc.constantFrom('a', 'b', 'c', 'd');
const inputs = { in: fc.record({ key: keys, value: fc.integer({ min: -9, max: 9 }) }) };

async function broken(options: LawOptions): Promise<string> {
  const failure = await checkLaws({ runs: 20, seed: 1, ...options }).then(
    () => null,
    (error: unknown) => error,
  );
  expect(failure).toMatchObject({ code: 'LAW_BROKEN' });
  return (failure as Error).message;
}

function lawsIn(message: string): string[] {
  return [...message.matchAll(/The law '([^']+)' is broken/g)].map(([, law]) => law!);
}

test('the word count keeps all laws, against a loop as its model', async () => {
  const report = await checkLaws({
    topology: wordCount,
    inputs: { lines: fc.record({ value: fc.stringMatching(/^([abAB] ?){0,4}$/) }) },
    model: (records) => {
      const counts = new Map<string, number>();
      for (const { value } of records) {
        for (const word of value.toLowerCase().split(/\W+/)) {
          if (word !== '') counts.set(word, (counts.get(word) ?? 0) + 1);
        }
      }
      return { 'word-counts': counts };
    },
    orderInsensitive: { 'word-counts': 'latest' },
    runs: 15,
  });
  expect(Object.values(report.runs)).toEqual([15, 15, 15, 15, 15, 15]);
  expect(report.text).toMatch(/^order insensitivity: held for 15 inputs$/m);
});

test('a count in a variable breaks crash equivalence alone, by one record', async () => {
  const leaky = () => {
    let seen = 0;
    const app = topology('leaky');
    app.stream('in', numbers).pipe(
      mapValues(() => {
        seen += 1;
        return seen;
      }),
      to('out', numbers),
    );
    return app;
  };
  const message = await broken({ topology: leaky, inputs });
  expect(lawsIn(message)).toEqual(['crash equivalence']);
  expect(message.split('\n')).toEqual([
    "The law 'crash equivalence' is broken. With one step for everything, aborted once: out-0, record 1 of task in_0:",
    '    the test saw "a" = 1, time 1000',
    '    the replay   "a" = 2, time 1000',
    '  A function keeps something in a variable: state belongs into aggregate() or count().',
    '  Input, 1 partition:',
    "    in: 'a' = 0, time 1000",
    expect.stringMatching(
      /^ {2}Again: checkLaws\(\{ …, laws: \['crash equivalence'\], seed: 1, path: '[\d:]+' \}\)$/,
    ),
  ]);
  const path = /path: '([\d:]+)'/.exec(message)![1]!;
  const again = await broken({ topology: leaky, inputs, laws: ['crash equivalence'], path });
  expect(again.replace(/path: .*/, '')).toBe(message.replace(/path: .*/, ''));
});

/** Calls that come in one turn are answered together, with how many they are. */
function coalescing() {
  let waiting: ((size: number) => void)[] = [];
  const app = topology('coalescing');
  app.stream('in', numbers).pipe(
    mapAsync(
      () =>
        new Promise<number>((resolve) => {
          waiting.push(resolve);
          if (waiting.length > 1) return;
          setTimeout(() => {
            const all = waiting;
            waiting = [];
            for (const each of all) each(all.length);
          });
        }),
      { order: 'partition' },
    ),
    to('out', numbers),
  );
  return app;
}

test('a result of what is under way at a time breaks batch equals stream alone', async () => {
  const message = await broken({ topology: coalescing, inputs, runs: 10, partitionsMax: 1 });
  expect(lawsIn(message)).toEqual(['batch equals stream']);
  expect(message).toMatch(/the test saw "a" = 1, time 1000\n {4}the replay {3}"a" = 2/);
});

test('a stream that a batch over the same records contradicts breaks batch equals stream', async () => {
  const deaf = () => {
    const app = topology('deaf');
    const counts = count<string, number>({ name: 'counts', key: text });
    app.stream('in', numbers).pipe(counts, to('out', numbers));
    return app;
  };
  const last = await broken({
    topology: deaf,
    inputs,
    model: (records) => ({ out: new Map(records.map(({ key, value }) => [key, value])) }),
  });
  expect(lawsIn(last)).toEqual(['batch equals stream']);
  expect(last).toMatch(/out, key '\w':\n {4}the model {2}0\n {4}the stream 1\n/);
  const every = await broken({
    topology: deaf,
    inputs,
    model: (records) => ({ out: records.map(({ key }) => [key, 1]) }),
  });
  expect(every).toMatch(/out, key '\w':\n {4}the model {2}1, 1\n {4}the stream 1, 2\n/);
});

test('a result of the partition breaks partition independence alone', async () => {
  const placed = () => {
    const app = topology('placed');
    app.stream('in', numbers).pipe(
      mapValues((_value, { meta }) => meta.partition),
      to('out', numbers),
    );
    return app;
  };
  const message = await broken({ topology: placed, inputs });
  expect(lawsIn(message)).toEqual(['partition independence']);
  expect(message).toMatch(
    /with 1 partition {2}"\w" = 0, time 1000\n {4}with \d partitions "\w" = [12]/,
  );
});

const folded = (add: (sum: number, value: number) => number) => () => {
  const app = topology('folded');
  app
    .stream('in', numbers)
    .pipe(
      aggregate({ name: 'sums', init: () => 0, add, key: text, value: long() }),
      to('out', numbers),
    );
  return app;
};

test('subtracting breaks order insensitivity alone, where it is claimed', async () => {
  const turned = folded((sum, value) => value - sum);
  const claim = { orderInsensitive: { out: 'latest' } } as const;
  await checkLaws({ topology: turned, inputs, runs: 10 });
  const message = await broken({ topology: turned, inputs, ...claim });
  expect(lawsIn(message)).toEqual(['order insensitivity']);
  expect(message).toMatch(/in the first order "\w" = .*\n {4}in another order {3}"\w" = /);
  expect(message).toMatch(/\n {4}and in the order 2, 1/);
  await checkLaws({ topology: folded((sum, value) => sum + value), inputs, ...claim, runs: 10 });
});

test('all records in any order is another claim than the latest of each key', async () => {
  const copied = () => {
    const app = topology('copied');
    app.stream('in', numbers).pipe(
      mapValues((value) => value * 2),
      to('out', numbers),
    );
    return app;
  };
  await checkLaws({ topology: copied, inputs, orderInsensitive: { out: 'all' }, runs: 10 });
  const message = await broken({ topology: copied, inputs, orderInsensitive: { out: 'latest' } });
  expect(lawsIn(message)).toEqual(['order insensitivity']);
});

/** JSON without a thought for what JSON does not hold. */
function json<T>(): Serde<T> {
  return {
    name: 'json',
    decode: (buffer, start, end) => JSON.parse(buffer.toString('utf8', start, end)) as T,
    encode: (value, buffer, at) => {
      const bytes = Buffer.from(JSON.stringify(value));
      const room = buffer.length - at;
      return bytes.length > room ? room - bytes.length : at + bytes.copy(buffer, at);
    },
  };
}

test('a serde that loses something breaks the round trip alone', async () => {
  const lossy = () => {
    const app = topology('lossy');
    app.stream('in', numbers).pipe(
      aggregate({
        name: 'seen',
        init: () => ({ n: 0, last: new Date(0) }),
        add: ({ n }, _value, { timestamp }) => ({ n: n + 1, last: new Date(timestamp) }),
        key: text,
        value: json<{ n: number; last: Date }>(),
      }),
      mapValues(({ n }) => n),
      to('out', numbers),
    );
    return app;
  };
  const message = await broken({ topology: lossy, inputs });
  expect(lawsIn(message)).toEqual(['serde round trip']);
  expect(message).toContain(
    'json wrote { n: 1, last: 1970-01-01T00:00:01.000Z }\n' +
      "    and reads it as { n: 1, last: '1970-01-01T00:00:01.000Z' }\n",
  );
});

test('a record that stops the topology is shown, and no other law is judged', async () => {
  const failing = () => {
    const app = topology('failing');
    app.stream('in', numbers).pipe(
      mapValues((value) => {
        if (value > 5) throw new RangeError('too much');
        return value;
      }),
      to('out', numbers),
    );
    return app;
  };
  const message = await broken({ topology: failing, inputs });
  expect(lawsIn(message)).toEqual(['every record is done']);
  expect(message).toMatch(/too much/);
  expect(message).toContain("\n    in: 'a' = 6, time 1000\n");
});

test('what cannot be checked is refused', async () => {
  const options = { topology: wordCount, inputs: { lines: fc.record({ value: fc.string() }) } };
  const refused = (message: RegExp) =>
    expect.objectContaining({ code: 'OPTION_INVALID', message: expect.stringMatching(message) });
  const cases: [Partial<LawOptions>, RegExp][] = [
    [{ inputs: {} }, /names no topic/],
    [{ inputs: { line: options.inputs.lines } }, /'line'.*lines/],
    [{ orderInsensitive: { counts: 'latest' } }, /'counts'.*word-counts/],
    [{ laws: ['gravity' as never] }, /no law 'gravity'.*crash equivalence/],
    [{ laws: ['order insensitivity'] }, /orderInsensitive/],
    [{ path: '0:1' }, /of one law/],
    [{ laws: ['partition independence'], partitionsMax: 1 }, /2 partitions or more/],
    [{ runs: 0 }, /runs: 0/],
    [{ recordsMax: 0 }, /recordsMax/],
    [{ partitionsMax: 1.5 }, /partitionsMax/],
  ];
  for (const [more, message] of cases) {
    await expect(checkLaws({ ...options, ...more } as LawOptions)).rejects.toEqual(
      refused(message),
    );
  }
});
