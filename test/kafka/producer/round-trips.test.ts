/** How many requests a step takes, and how many of them wait for each other. */
import { afterEach, expect, test } from 'vitest';
import type { StepOrder } from '../../../src/kafka/producer/step-order.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { marked } from '../marked.ts';
import { OverBroker } from './over-broker.ts';
import { Rounds } from './rounds.ts';
import { output, session, step } from './steps.ts';

const nobody = () => Promise.resolve({ generation: -1, memberId: '', instanceId: null });
const STEPS = 10;

let over: OverBroker;
afterEach(() => over.close());

/** Requests and serial round trips of each step that met no refusal, the first one left out. */
async function measured(
  transactionVersion: 1 | 2,
  nodes: number,
  stepOrder?: StepOrder,
): Promise<Set<string>> {
  over = new OverBroker({ transactionVersion, nodes, markerDelayMs: 0 });
  over.client.createTopic('usage');
  over.client.createTopic('invoices', 3);
  const rounds = new Rounds();
  const { cluster } = over.process(undefined, (inner) => rounds.over(inner));
  const metrics = new Metrics();
  const producer = session(cluster, {
    metrics,
    ports: over.ports,
    ...(stepOrder && { stepOrder }),
  });
  await producer.init();
  const repeated = () =>
    Object.values(metrics.snapshot()['requests.repeated']).reduce((sum, one) => sum + one, 0);
  const counted: string[] = [];
  for (let i = 0; counted.length < STEPS; i++) {
    await marked(over);
    const before = repeated();
    rounds.restart();
    const outputs = [0, 1, 2].map((partition) => output('invoices', partition, ['a']));
    await producer.commit(step(outputs, i, nobody));
    if (i > 0 && repeated() === before) counted.push(`${rounds.requests.length} ${rounds.serial}`);
  }
  return new Set(counted);
}

test('on transactions v1 a step is four serial round trips, a request per leader and four more', async () => {
  expect(await measured(1, 1)).toEqual(new Set(['5 4']));
  await over.close();
  expect(await measured(1, 3)).toEqual(new Set(['7 4']));
});

test('on transactions v2 a step on one node is three requests in two serial round trips', async () => {
  expect(await measured(2, 1)).toEqual(new Set(['3 2']));
});

test('on transactions v2 a step on three nodes is announced: three serial round trips', async () => {
  expect(await measured(2, 3)).toEqual(new Set(['6 3']));
});

test('on transactions v2 a step on three nodes can be two serial round trips', async () => {
  expect(await measured(2, 3, 'beside')).toEqual(new Set(['5 2']));
});
