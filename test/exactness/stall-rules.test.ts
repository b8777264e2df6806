/**
 * A process that stood still: it proves itself to the group before it commits anything, and what
 * was under way when it fell asleep is ended by nobody but its successor when the session is over.
 */
import { afterEach, expect, test } from 'vitest';
import { mapValues, to, topology } from '../../src/index.ts';
import { endTxn } from '../../src/kafka/protocol/end-txn.ts';
import { heartbeat } from '../../src/kafka/protocol/heartbeat.ts';
import { txnOffsetCommit } from '../../src/kafka/protocol/txn-offset-commit.ts';
import type { Ports } from '../../src/ports.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { counting, folded, Lab, type Row, text, until } from './lab.ts';
import { steadyPorts } from './steady-time.ts';
import { bodyOf, Hold, type Wire } from './wire.ts';

const ROWS: readonly Row[] = [
  ['a', 'x'],
  ['b', 'x'],
  ['a', 'x'],
];
const SESSION_MS = 6_000;
const OPTIONS = {
  sessionTimeoutMs: SESSION_MS,
  transactionTimeoutMs: 30_000,
  rebalanceTimeoutMs: 40_000,
};

let lab: Lab;
afterEach(() => lab?.close());

test('user code that holds the process is told with its task, the stall is counted', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const told: { readonly fields: object; readonly event: string }[] = [];
  const warn = (fields: object, event: string) => told.push({ fields, event });
  const sleeper = new Sleeper();
  const app = topology('slow');
  app.stream('in', { key: text, value: text }).pipe(
    mapValues((value) => {
      if (value === 'slow') sleeper.sleep(4_000);
      return value;
    }),
    to('out', { key: text, value: text }),
  );
  const application = await lab.start(app, lab.wire(), {
    ...OPTIONS,
    ports: sleeper.ports,
    log: { ...silentLog, warn },
  });
  lab.write('in', [['a', 'slow']]);
  await lab.reached(1);
  await until(
    // A busy machine stalls a little by itself.
    () => application.metrics()['process.stalledMs'] > 3_500,
    () => 'the stall was not seen',
  );
  const held = told.find(({ event }) => event === 'a task held the process');
  expect(held?.fields).toMatchObject({ task: 'in_0', before: ['in-0@1'] });
});

/** A process whose clock has moved when it wakes up. */
class Sleeper {
  #slept = 0;
  readonly ports: Ports = {
    ...steadyPorts,
    clock: {
      now: () => steadyPorts.clock.now() + this.#slept,
      monotonic: () => steadyPorts.clock.monotonic() + this.#slept,
    },
  };

  sleep(ms: number): void {
    this.#slept += ms;
  }
}

/** The process sleeps while the answer to its offsets is on the way to it. */
async function asleepBeforeEnd(
  sleepMs: number,
): Promise<{ readonly wire: Wire; readonly wokenAt: number }> {
  lab = await Lab.open({ in: 1, out: 1 });
  const wire = lab.wire();
  const sleeper = new Sleeper();
  await lab.start(counting(), wire, { ...OPTIONS, ports: sleeper.ports });
  lab.write('in', ROWS);
  await lab.reached(ROWS.length);
  const offsets = new Hold();
  const held = wire.next(txnOffsetCommit, offsets.answers);
  lab.write('in', ROWS);
  await held;
  await until(
    () => offsets.waiting > 0,
    () => 'the answer is not held',
  );
  const wokenAt = wire.journal.at(-1)!.sentAt;
  sleeper.sleep(sleepMs);
  offsets.open();
  return { wire, wokenAt };
}

const after = (wire: Wire, api: typeof endTxn | typeof heartbeat, at: number) =>
  wire.sent(api as typeof endTxn).filter(({ sentAt }) => sentAt > at);

test('a process that stood still for most of its session beats before it ends a transaction', async () => {
  const { wire, wokenAt } = await asleepBeforeEnd(0.9 * SESSION_MS);
  await lab.reached(2 * ROWS.length);
  const [end] = after(wire, endTxn, wokenAt);
  const [beat] = after(wire, heartbeat, wokenAt);
  expect(bodyOf(endTxn, end!).committed).toBe(true);
  expect(beat!.answeredAt).toBeGreaterThan(0);
  expect(beat!.answeredAt).toBeLessThan(end!.sentAt);
  expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS]));
});

test('a process that stood still past its session commits nothing that it had begun', async () => {
  const { wire, wokenAt } = await asleepBeforeEnd(1.5 * SESSION_MS);
  await lab.reached(2 * ROWS.length);
  const [output] = await lab.read('out');
  expect(output!.aborted).toBeGreaterThan(0);
  const first = after(wire, endTxn, wokenAt).find((end) => bodyOf(endTxn, end).committed);
  const rejoined = wire.bodies(txnOffsetCommit).at(-1)!;
  expect(rejoined.generationId).toBeGreaterThan(1);
  expect(first).toBeDefined();
  expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS]));
});
