/** Two versions of a topology in one group while an upgrade rolls: what may differ, and what may not. */
import { afterEach, expect, test } from 'vitest';
import { count, long, to, topology } from '../../src/index.ts';
import { initProducerId } from '../../src/kafka/protocol/init-producer-id.ts';
import { syncGroup } from '../../src/kafka/protocol/sync-group.ts';
import type { RunOptions } from '../../src/run.ts';
import { counting, folded, Lab, type Row, text, until } from './lab.ts';

const ROWS: readonly Row[] = [
  ['a', 'x'],
  ['b', 'x'],
  ['a', 'x'],
];
const DYNAMIC = { instanceId: null } satisfies Partial<RunOptions>;

let lab: Lab;
afterEach(() => lab?.close());

/** `counting`, and a second stream beside it. */
function extended() {
  const app = counting();
  app.stream('more', { key: text, value: text }).pipe(to('copies', { key: text, value: text }));
  return app;
}

/** `counting` with its store under a sub-topology of another name. */
function renamed() {
  const app = topology('count');
  app
    .stream('in', { key: text, value: text, subTopology: 'renamed' })
    .pipe(count({ name: 'counts', key: text }), to('out', { key: text, value: long() }));
  return app;
}

async function drained(times: number): Promise<void> {
  for (const partition of [0, 1]) await lab.reached(times * ROWS.length, 'in', partition);
}

test('a version with one more stream runs it beside the old version, which keeps what it can run', async () => {
  lab = await Lab.open({ in: 2, more: 1, out: 2, copies: 1 });
  const old = await lab.start(counting(), lab.wire(), DYNAMIC);
  for (const partition of [0, 1]) lab.write('in', ROWS, partition);
  await drained(1);
  const young = await lab.start(extended(), lab.wire(), DYNAMIC);
  lab.write('more', ROWS);
  await lab.reached(ROWS.length, 'more');
  await until(
    () => old.runningTasks.length + young.runningTasks.length === 3,
    () => `${old.runningTasks} and ${young.runningTasks}`,
  );
  expect(young.runningTasks).toContain('more_0');
  expect(old.runningTasks.every((task) => task.startsWith('in'))).toBe(true);
  for (const partition of [0, 1]) lab.write('in', ROWS, partition);
  await drained(2);
  await old.stop();
  await until(
    () => young.runningTasks.length === 3,
    () => `${young.runningTasks}`,
  );
  for (const partition of [0, 1]) lab.write('in', ROWS, partition);
  await drained(3);
  const { changelog } = await lab.counts();
  const each = folded([...ROWS, ...ROWS, ...ROWS]).changelog;
  expect(changelog).toEqual([...each, ...each]);
});

test('a version that gives an input and its state to another task is refused until the old one has gone', async () => {
  lab = await Lab.open({ in: 2, out: 2 });
  const before = lab.wire();
  const old = await lab.start(counting(), before, DYNAMIC);
  for (const partition of [0, 1]) lab.write('in', ROWS, partition);
  await drained(1);
  const young = lab.wire();
  const refusal = await lab.start(renamed(), young, DYNAMIC).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ code: 'TOPOLOGY_INVALID', decision: 'stop' });
  expect(String(refusal)).toMatch(/belongs to sub-topology in there and to renamed here/);
  // It has touched nothing: not one transactional id, and no task has moved or stopped.
  expect(young.sent(initProducerId)).toEqual([]);
  for (const partition of [0, 1]) lab.write('in', ROWS, partition);
  await drained(2);
  expect(before.sent(initProducerId)).toHaveLength(2);
  await old.stop();
  await lab.start(renamed(), lab.wire(), DYNAMIC);
  for (const partition of [0, 1]) lab.write('in', ROWS, partition);
  await drained(3);
  const { changelog } = await lab.counts();
  const each = folded([...ROWS, ...ROWS, ...ROWS]).changelog;
  expect(changelog).toEqual([...each, ...each]);
});

/** `counting`, and the same counts a second time in a store of its own. */
function twice() {
  const app = topology('count');
  const counts = app.stream('in', { key: text, value: text });
  counts.pipe(count({ name: 'counts', key: text }), to('out', { key: text, value: long() }));
  counts.pipe(count({ name: 'again', key: text }), to('copies', { key: text, value: long() }));
  return app;
}

test('a version with one more state in a task is refused, too: it would miss what the old one runs', async () => {
  lab = await Lab.open({ in: 2, out: 2, copies: 2 });
  const old = await lab.start(counting(), lab.wire(), DYNAMIC);
  await drained(0);
  const options = { ...DYNAMIC, newStores: ['again'] };
  const refusal = await lab.start(twice(), lab.wire(), options).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ code: 'TOPOLOGY_INVALID', decision: 'stop' });
  expect(String(refusal)).toMatch(/sub-topology in has .* here and not there/);
  await old.stop();
  await lab.start(twice(), lab.wire(), options);
  for (const partition of [0, 1]) lab.write('in', ROWS, partition);
  await drained(1);
  expect(await lab.committed('copies')).toEqual(await lab.committed('out'));
});

test('a static member that comes back with another version makes the leader look again, once', async () => {
  lab = await Lab.open({ in: 2, more: 1, out: 2, copies: 1 });
  await lab.start(counting(), lab.wire(), { instanceId: 'one' });
  const second = await lab.start(counting(), lab.wire(), { instanceId: 'two' });
  await until(
    () => second.runningTasks.length === 1,
    () => `${second.runningTasks}`,
  );
  const had = second.runningTasks;
  await second.stop();
  const { generation } = lab.broker.groups.find('app')!.group;
  const wire = lab.wire();
  const again = await lab.start(extended(), wire, { instanceId: 'two' });
  await until(
    () => again.runningTasks.length === 2,
    () => `${again.runningTasks}`,
  );
  expect([...again.runningTasks].sort()).toEqual([...had, 'more_0'].sort());
  expect(wire.sent(syncGroup)).toHaveLength(2);
  expect(lab.broker.groups.find('app')!.group.generation).toBe(generation + 1);
});
