/** What becomes of a record that fails behind a repartition, over the embedded broker. */
import { afterEach, expect, test } from 'vitest';
import {
  count,
  deadLetter,
  long,
  mapAsync,
  mapValues,
  type RecordPolicy,
  repartition,
  retry,
  selectKey,
  skip,
  to,
  topology,
} from '../../src/index.ts';
import { TestDriver } from '../../src/testing/test-driver.ts';
import { asText, Lab, type Row, text } from './lab.ts';

const BEHIND = 'app-r-repartition';
const ROWS: readonly Row[] = [
  ['a', 'good'],
  ['a', 'bad'],
  ['a', 'good'],
];

let lab: Lab;
afterEach(() => lab?.close());

type How = 'serial' | 'staged';
const HOWS: readonly How[] = ['serial', 'staged'];

interface Policies {
  /** Whether the record fails in an asynchronous operator. Default: `serial`. */
  readonly how?: How;
  readonly stream?: RecordPolicy;
  readonly repartition?: RecordPolicy;
  /** Called for each bad record. */
  readonly attempted?: () => void;
}

/** Counts by key behind a repartition; a record whose value is `bad` fails after it was counted. */
function counting({ how, stream, repartition: behind, attempted = () => {} }: Policies) {
  const app = topology('behind');
  const counted = app
    .stream('in', { key: text, value: text, ...(stream && { onError: stream }) })
    .pipe(
      selectKey(({ key }) => `${key}!`),
      repartition({ name: 'r', key: text, value: text, ...(behind && { onError: behind }) }),
    );
  counted.pipe(count({ name: 'counts', key: text }), to('out', { key: text, value: long() }));
  const check = (value: string): string => {
    if (value !== 'bad') return value;
    attempted();
    throw new Error('a bad record');
  };
  const checked = how === 'staged' ? mapAsync(check) : mapValues(check);
  counted.pipe(checked, to('checked', { key: text, value: text }));
  return app;
}

async function lived(policies: Policies): Promise<void> {
  lab = await Lab.open({ in: 1, out: 1, checked: 1, dead: 1, other: 1 });
  await lab.start(counting(policies), lab.wire());
  lab.write('in', ROWS);
  await lab.reached(3, BEHIND);
  expect(await lab.committed('out')).toEqual(['a!=1', 'a!=2']);
  expect(await lab.committed('app-counts-changelog')).toEqual(['a!=1', 'a!=2']);
  expect(await lab.committed('checked', asText)).toEqual(['a!=good', 'a!=good']);
}

test.each(HOWS)('a stream’s skip holds behind a repartition (%s)', async (how) => {
  await lived({ how, stream: skip() });
});

test.each(HOWS)(
  'a stream’s dead-letter topic takes what fails behind a repartition, as it was read there (%s)',
  async (how) => {
    await lived({ how, stream: deadLetter('dead') });
    expect(await lab.committed('dead', asText)).toEqual(['a!=bad']);
  },
);

test('the repartition’s own policy comes before the stream’s', async () => {
  await lived({ stream: deadLetter('dead'), repartition: deadLetter('other') });
  expect(await lab.committed('dead', asText)).toEqual([]);
  expect(await lab.committed('other', asText)).toEqual(['a!=bad']);
});

test.each(HOWS)(
  'a stream’s retry holds behind a repartition, with what follows it (%s)',
  async (how) => {
    let attempts = 0;
    const attempted = () => {
      attempts += 1;
    };
    await lived({ how, stream: retry(2, skip()), attempted });
    expect(attempts).toBe(3);
  },
);

test('a record that ends the instance behind a repartition names whose onError to set', async () => {
  lab = await Lab.open({ in: 1, out: 1, checked: 1 });
  const application = await lab.start(counting({}), lab.wire());
  lab.write('in', ROWS);
  await expect(application.stopped()).rejects.toMatchObject({
    code: 'RECORD_FAILED',
    message: expect.stringMatching(
      /^app-r-repartition-0@1: .*a bad record\n {2}To go on without such records, set onError of repartition\('r'\)\.$/,
    ),
    at: { topic: BEHIND, partition: 0, offset: 1 },
  });
});

test('a record without a key at a repartition names the stream that it came from', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const app = topology('keyless');
  app.stream('in', { key: text, value: text }).pipe(
    selectKey(() => null as string | null),
    repartition({ name: 'r', key: text as never, value: text }),
    to('out', { key: text as never, value: text }),
  );
  const application = await lab.start(app, lab.wire());
  lab.write('in', [['a', 'x']]);
  await expect(application.stopped()).rejects.toMatchObject({
    code: 'RECORD_FAILED',
    message: expect.stringMatching(/^in-0@0: repartition\('r'\) needs a key.*stream\('in'\)\.$/s),
  });
});

test('a driver reads the dead letters of a repartition, with its coordinates', async () => {
  const driver = await TestDriver.start({
    topology: () => counting({ repartition: deadLetter('dead') }),
  });
  const input = driver.input('in', { key: text, value: text });
  for (const [key, value] of ROWS) input.pipe(key, value);
  const [dead, ...rest] = driver.output('dead', { key: text, value: text }).read();
  expect(rest).toEqual([]);
  expect(dead).toMatchObject({ key: 'a!', value: 'bad' });
  const headers = Object.fromEntries(dead!.headers.map(({ key, value }) => [key, String(value)]));
  expect(headers).toMatchObject({
    'escapement.error.code': 'RECORD_FAILED',
    'escapement.source.topic': expect.stringMatching(/-r-repartition$/),
    'escapement.source.partition': '0',
    'escapement.source.offset': '1',
  });
  expect(driver.output('out', { key: text, value: long() }).readValues()).toEqual([1, 2]);
  await driver.close();
});

test('an instance does not start without the dead-letter topic of a repartition', async () => {
  lab = await Lab.open({ in: 1, out: 1, checked: 1 });
  const started = lab.start(counting({ repartition: deadLetter('dead') }), lab.wire());
  await expect(started).rejects.toMatchObject({
    code: 'TOPIC_MISMATCH',
    message: expect.stringContaining('dead'),
  });
});
