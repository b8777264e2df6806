/** An application whose committed position retention has removed: it stops, or goes on and says so. */
import { afterEach, expect, it } from 'vitest';
import { string, to, topology } from '../../src/index.ts';
import type { RuntimeListener } from '../../src/runtime/listener.ts';
import { asText, Lab, type Row, text, until } from './lab.ts';

let lab: Lab;
afterEach(() => lab.close());

function copying(onOffsetOutOfRange: 'fail' | 'earliest' | 'latest') {
  const app = topology('copy');
  app
    .stream('in', { key: text, value: text, onOffsetOutOfRange })
    .pipe(to('out', { key: text, value: string() }));
  return app;
}

const row = (value: string): Row => ['k', value, Number.parseInt(value, 36)];

/** An instance has processed `a` and stopped; `b` and `c` are gone before the next one starts. */
async function truncated(): Promise<void> {
  lab = await Lab.open({ in: 1, out: 1 });
  lab.write('in', [row('a')]);
  const first = await lab.start(copying('fail'), lab.wire());
  await lab.reached(1);
  await first.stop();
  lab.write('in', [row('b')]);
  lab.write('in', [row('c')]);
  lab.write('in', [row('d')]);
  lab.truncate('in', 3);
}

it('an instance stops with the place of records that retention took from it', async () => {
  await truncated();
  const application = await lab.start(copying('fail'), lab.wire());
  await expect(application.stopped()).rejects.toMatchObject({
    code: 'OFFSET_OUT_OF_RANGE',
    at: { topic: 'in', partition: 0, offset: 1 },
  });
  expect(await lab.committed('out', asText)).toEqual(['k=a']);
});

it('an instance goes on at the earliest record by policy, and its listener hears what is missing', async () => {
  await truncated();
  const told: unknown[] = [];
  const listener: RuntimeListener = { offsetReset: (event) => told.push(event) };
  await lab.start(copying('earliest'), lab.wire(), { listener });
  await lab.reached(4);
  expect(await lab.committed('out', asText)).toEqual(['k=a', 'k=d']);
  expect(told).toEqual([{ topic: 'in', partition: 0, from: 1, to: 3, policy: 'earliest' }]);
});

it('a position at the end of the log is committed although nothing came since', async () => {
  await truncated();
  const told: unknown[] = [];
  await lab.start(copying('latest'), lab.wire(), {
    listener: { offsetReset: (event) => told.push(event) },
  });
  await until(
    () => lab.offset().offset === 4,
    () => `the group is at ${lab.offset().offset}`,
  );
  lab.write('in', [row('e')]);
  await lab.reached(5);
  expect(await lab.committed('out', asText)).toEqual(['k=a', 'k=e']);
  expect(told).toHaveLength(1);
});
