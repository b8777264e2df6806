/**
 * The crash matrix: a process dies, or an answer is lost, at each instant of the step's protocol.
 * Whatever happens, the committed output, changelog and offsets are those of an undisturbed run.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endTxn } from '../../src/kafka/protocol/end-txn.ts';
import { initProducerId } from '../../src/kafka/protocol/init-producer-id.ts';
import { offsetFetch } from '../../src/kafka/protocol/offset-fetch.ts';
import { produce } from '../../src/kafka/protocol/produce.ts';
import { type Fault, type FaultyTransport, planOf } from '../../src/kafka/transport/faulty.ts';
import type { TransportRequest } from '../../src/kafka/transport/transport.ts';
import { CountRun, until } from './count-run.ts';
import { STEP } from './step-apis.ts';

export interface BrokerUnderTest {
  readonly bootstrap: string;
  close(): Promise<void>;
}

const INSTANTS: readonly { readonly name: string; readonly fault: Fault }[] = [
  { name: 'the process dies before it is sent', fault: { outcome: 'stop', at: 'before-send' } },
  { name: 'the process dies when it is answered', fault: { outcome: 'stop', at: 'after-reply' } },
  { name: 'the request is lost', fault: { outcome: 'lose-request', at: 'before-send' } },
  { name: 'the answer is lost', fault: { outcome: 'lose-reply', at: 'after-reply' } },
  {
    name: 'the answer is lost while it is carried out',
    fault: { outcome: 'lose-reply', at: 'before-send' },
  },
];

export function crashMatrix(
  name: string,
  transactionVersion: 1 | 2,
  start: () => Promise<BrokerUnderTest>,
): void {
  describe(`the crash matrix on ${name}`, () => {
    let broker: BrokerUnderTest;
    beforeAll(async () => {
      broker = await start();
    });
    afterAll(() => broker?.close());

    for (const api of STEP[transactionVersion]) {
      for (const { name: instant, fault } of INSTANTS) {
        test(`${api.name}: ${instant}`, () => strike(broker, api.key, fault, () => true));
      }
    }
    for (const [what, suffix] of [
      ['of output', '-out'],
      ['of the changelog', '-changelog'],
    ] as const) {
      const hasTopic = ({ body }: TransportRequest) => body.includes(suffix);
      for (const { name: instant, fault } of INSTANTS) {
        test(`Produce ${what}: ${instant}`, () => strike(broker, produce.key, fault, hasTopic));
      }
    }
    for (const api of [initProducerId, offsetFetch]) {
      for (const { name: instant, fault } of INSTANTS) {
        test(`${api.name} of a successor: ${instant}`, () =>
          strikeSuccessor(broker, api.key, fault));
      }
    }
  });
}

/** Faults in the middle of a running task. */
async function strike(
  broker: BrokerUnderTest,
  apiKey: number,
  fault: Fault,
  where: (request: TransportRequest) => boolean,
): Promise<void> {
  await onRunningTask(broker, async (run, transport) => {
    transport.setPlan(planOf([{ ...fault, apiKey, ordinal: 1, where }]));
    await run.write(10);
    await survive(run, transport, fault);
  });
}

/** A process dies with an open transaction, and its successor meets the fault while it takes over. */
async function strikeSuccessor(
  broker: BrokerUnderTest,
  apiKey: number,
  fault: Fault,
): Promise<void> {
  await onRunningTask(broker, async (run, first) => {
    first.setPlan(planOf([{ outcome: 'stop', at: 'before-send', apiKey: endTxn.key, ordinal: 1 }]));
    await run.write(10);
    await first.stopped;
    void first.close();
    const second = run.transport(planOf([{ ...fault, apiKey, ordinal: 1 }]));
    await run.start(second);
    await survive(run, second, fault);
  });
}

/** Runs `body` once a first instance has processed some records. */
async function onRunningTask(
  broker: BrokerUnderTest,
  body: (run: CountRun, transport: FaultyTransport) => Promise<void>,
): Promise<void> {
  const run = new CountRun(broker.bootstrap);
  try {
    await run.createTopics();
    await run.write(10);
    const transport = run.transport();
    await run.start(transport);
    await run.drained();
    await body(run, transport);
  } finally {
    await run.close();
  }
}

/** Waits for the fault, follows a dead process by its successor, and judges the outcome. */
async function survive(run: CountRun, transport: FaultyTransport, fault: Fault): Promise<void> {
  await until(() => transport.struck.length > 0, 'the fault did not strike');
  if (fault.outcome === 'stop') {
    await transport.stopped;
    void transport.close();
    await run.start(run.transport());
  }
  await run.write(10);
  await run.drained();
  expect(await run.committed()).toEqual(run.expected());
  expect(run.failures).toEqual([]);
}
