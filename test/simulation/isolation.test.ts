/**
 * A simulation touches nothing of the machine it runs on: no timer, socket, file, process, clock or
 * randomness of it. Whatever is made or called from within a run is noticed, however deep it lies.
 */
import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import childProcess from 'node:child_process';
import crypto from 'node:crypto';
import dns from 'node:dns';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { simulate } from '../../src/simulation/simulation.ts';
import type { UserCode, Workload } from '../../src/simulation/workload.ts';
import { WORKLOADS, workloadOf } from './workloads.ts';

type Functions = Record<string, unknown>;

/** Of one run: everything that it has touched. */
interface Touched {
  readonly what: Set<string>;
  immediates: number;
}

const inside = new AsyncLocalStorage<Touched>();

/** What promises are made of; everything else that Node makes waits for the machine. */
const HARMLESS = new Set(['PROMISE', 'Microtask', 'TickObject', 'Immediate']);

const resources = createHook({
  init(_, type) {
    const touched = inside.getStore();
    if (touched === undefined) return;
    if (type === 'Immediate') touched.immediates += 1;
    if (!HARMLESS.has(type)) touched.what.add(type);
  },
});

/** What answers at once and would leave no resource behind. */
const WATCHED: readonly (readonly [name: string, object: object, methods?: readonly string[]])[] = [
  ['fs', fs],
  ['fs.promises', fs.promises],
  ['net', net],
  ['dns', dns],
  ['child_process', childProcess],
  ['crypto', crypto, ['randomBytes', 'randomFillSync', 'randomInt', 'randomUUID']],
  ['Date', Date, ['now']],
  ['Math', Math, ['random']],
  ['performance', performance, ['now']],
];

let restore: (() => void)[] = [];

beforeAll(() => {
  resources.enable();
  restore = WATCHED.flatMap(([name, object, methods]) =>
    (methods ?? Object.keys(object)).map((method) => watch(name, object as Functions, method)),
  );
  syncBuiltinESMExports();
});

afterAll(() => {
  for (const undo of restore) undo();
  syncBuiltinESMExports();
  resources.disable();
});

function watch(name: string, object: Functions, method: string): () => void {
  const original = object[method];
  if (typeof original !== 'function' || /^[A-Z]/.test(method)) return () => {};
  object[method] = function watched(this: unknown, ...args: unknown[]): unknown {
    inside.getStore()?.what.add(`${name}.${method}`);
    return original.apply(this, args);
  };
  return () => {
    object[method] = original;
  };
}

async function touchedBy(workload: Workload, seed: number): Promise<string[]> {
  const touched: Touched = { what: new Set(), immediates: 0 };
  const { events } = await inside.run(touched, () => simulate({ workload, seed }));
  // One turn of Node's event loop for each event, and some that found the end: nobody else's.
  expect(touched.immediates).toBeGreaterThanOrEqual(events);
  expect(touched.immediates).toBeLessThan(events + 20);
  return [...touched.what].sort();
}

const SEEDS = [11, 12];

describe.each(WORKLOADS.map((workload) => [workload.name, workload] as const))(
  '%s',
  (_, workload) => {
    test.each(SEEDS)('touches nothing of the machine with seed %i', async (seed) => {
      expect(await touchedBy(workload, seed)).toEqual([]);
    });
  },
);

test.each([
  ['a timer', () => void setTimeout(() => {}, 1), 'Timeout'],
  ['a socket', () => net.connect({ host: '127.0.0.1', port: 9 }).on('error', () => {}), 'TCPWRAP'],
  ['a file', () => fs.existsSync('.'), 'fs.existsSync'],
  ['a file later', () => void fs.promises.stat('.'), 'FSREQPROMISE'],
  ['the clock', () => Date.now(), 'Date.now'],
  ['randomness', () => Math.random(), 'Math.random'],
])('user code that uses %s is noticed', async (_, use, expected) => {
  const innocent = workloadOf('copy');
  const touching: Workload = {
    ...innocent,
    topology: ({ disturb, ...user }: UserCode) => {
      const both = () => {
        use();
        disturb();
      };
      return innocent.topology({ ...user, disturb: both });
    },
  };
  expect(await touchedBy(touching, 11)).toContain(expected);
});
