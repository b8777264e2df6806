/**
 * Epochs and producer ids are used up within minutes on transactions v2, where each transaction takes
 * an epoch: 32,766 is the last one, and a new producer id comes with the end of its transaction.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { endTxn } from '../../../src/kafka/protocol/end-txn.ts';
import type { Transport } from '../../../src/kafka/transport/transport.ts';
import { TransportError } from '../../../src/kafka/transport/transport.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { marked } from '../marked.ts';
import { OverBroker } from './over-broker.ts';
import { failure, output, session, step } from './steps.ts';

const nobody = () => Promise.resolve({ generation: -1, memberId: '', instanceId: null });
const ID = 'billing-usage-0';
const LAST_EPOCH = 32_766;

let over: OverBroker;
afterEach(() => over.close());

function open(transactionVersion: 1 | 2): void {
  over = new OverBroker({ transactionVersion, markerDelayMs: 0 });
  over.client.createTopic('usage');
  over.client.createTopic('invoices', 1);
}

const stepOf = (i: number) => step([output('invoices', 0, [`${i}`])], i, nobody);

/** What committed transactions wrote, in order, with the producer ids that they wrote as. */
async function committed(): Promise<{ values: string[]; producerIds: number[] }> {
  await marked(over);
  const values: string[] = [];
  const producerIds = new Set<number>();
  let open: string[] = [];
  for (let from = 0; ; ) {
    const options = { isolation: 'read_uncommitted' } as const;
    const { batches, highWatermark } = over.client.fetch('invoices', 0, from, options);
    for (const { kind, values: written, producerId } of batches) {
      if (kind === 'data') open.push(...written);
      else {
        if (kind === 'commit') values.push(...open);
        if (kind === 'commit') producerIds.add(producerId);
        open = [];
      }
    }
    const last = batches.at(-1);
    if (last === undefined) return { values, producerIds: [...producerIds] };
    from = last.baseOffset + Math.max(1, last.values.length);
    if (from >= Number(highWatermark)) return { values, producerIds: [...producerIds] };
  }
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => `${i + 1}`);

test('33,100 commits of one id wear out a producer id, and lose and double nothing', async () => {
  open(2);
  const metrics = new Metrics();
  const producer = session(over.process().cluster, { metrics, ports: over.ports });
  await producer.init();
  for (let i = 1; i <= 33_100; i++) {
    if (i % 3_000 === 0) {
      // An aborted step takes an epoch, too.
      const gone = () => Promise.resolve({ generation: 5, memberId: 'x', instanceId: null });
      await failure(producer.commit(step([output('invoices', 0, ['no'])], i, gone)));
      await producer.abort();
    }
    await producer.commit(stepOf(i));
  }
  const { values, producerIds } = await committed();
  expect(values).toEqual(numbers(33_100));
  expect(producerIds).toHaveLength(2);
  expect(metrics.snapshot()['producer.rotated']).toBe(1);
}, 600_000);

/** Has the coordinator hand out epochs until the next init gives this one. */
function wearOut(nextEpoch: number): void {
  for (;;) {
    const { producerEpoch } = over.client.init(ID);
    if (producerEpoch + 1 === nextEpoch) return;
  }
}

/** Delivers the n-th EndTxn, and then something else happens to its caller. */
function atEnd(ordinal: number, strike: (pass: () => Promise<Buffer>) => Promise<Buffer>) {
  let count = 0;
  return (inner: Transport): Transport => ({
    learn: (nodes) => inner.learn(nodes),
    close: () => inner.close(),
    request(node, request) {
      const pass = () => inner.request(node, request);
      if (request.apiKey !== endTxn.key) return pass();
      count += 1;
      return count === ordinal ? strike(pass) : pass();
    },
  });
}

describe.each([1, 2] as const)('the last epoch on transactions v%i', (version) => {
  test('is followed by a new producer id with epoch 0', async () => {
    open(version);
    wearOut(LAST_EPOCH - 1);
    const producer = session(over.process().cluster, { ports: over.ports });
    await producer.init();
    for (let i = 1; i <= 6; i++) {
      await producer.commit(stepOf(i));
      // On v1 an epoch lasts until the next init.
      if (version === 1) await producer.init();
    }
    const { values, producerIds } = await committed();
    expect(values).toEqual(numbers(6));
    expect(producerIds).toHaveLength(2);
  });

  test('may be lost with the answer of EndTxn: init finds the step committed', async () => {
    open(version);
    wearOut(LAST_EPOCH);
    const lose = async (pass: () => Promise<Buffer>) => {
      await pass();
      throw new TransportError('unknown', 'the reply was lost');
    };
    const producer = session(over.process(undefined, atEnd(1, lose)).cluster, {
      ports: over.ports,
    });
    await producer.init();
    expect((await failure(producer.commit(stepOf(1)))).decision).toBe('indefinite');
    await producer.init();
    await producer.commit(stepOf(2));
    expect((await committed()).values).toEqual(numbers(2));
  });

  test('may end with an EndTxn that is answered late and sent again', async () => {
    open(version);
    wearOut(LAST_EPOCH);
    // Twice at the broker, and the caller is told of the second: as after NOT_COORDINATOR.
    const twice = async (pass: () => Promise<Buffer>) => {
      await pass();
      return pass();
    };
    const producer = session(over.process(undefined, atEnd(1, twice)).cluster, {
      ports: over.ports,
    });
    await producer.init();
    for (let i = 1; i <= 3; i++) await producer.commit(stepOf(i));
    expect((await committed()).values).toEqual(numbers(3));
  });
});
