/** Steps and sessions for the tests of the producer. */
import { vi } from 'vitest';
import { EscapementError } from '../../../src/errors.ts';
import type { SessionCluster } from '../../../src/kafka/producer/coordinator-asking.ts';
import {
  TransactionalSession,
  type TransactionalSessionOptions,
} from '../../../src/kafka/producer/session.ts';
import type { Membership, SessionStep, StepOutput } from '../../../src/kafka/producer/step.ts';
import { BatchWriter } from '../../../src/kafka/records/batch-writer.ts';
import { systemPorts } from '../../../src/ports.ts';
import { silentLog } from '../../../src/telemetry/log.ts';

export const MEMBER: Membership = { generation: 3, memberId: 'm-1', instanceId: 'billing-1' };

/** One output; each inner list is a batch. */
export function output(topic: string, partition: number, ...batches: string[][]): StepOutput {
  const all = batches.map((values) => {
    const writer = new BatchWriter();
    for (const value of values) {
      const bytes = Buffer.from(value);
      writer.append(1_000, bytes, 0, bytes.length, bytes, 0, bytes.length, null);
    }
    return writer.take();
  });
  return { topic, partition, batches: all.flat() };
}

export function step(
  outputs: readonly StepOutput[],
  offset = 10,
  membership: () => Promise<Membership> = () => Promise.resolve(MEMBER),
): SessionStep {
  return {
    outputs,
    offsets: {
      groupId: 'billing',
      membership,
      proof: () => Promise.resolve(),
      partitions: [{ topic: 'usage', partition: 0, offset, metadata: `step-${offset}` }],
    },
  };
}

export function session(
  cluster: SessionCluster,
  options: Partial<TransactionalSessionOptions> & { id?: string; timeoutMs?: number } = {},
): TransactionalSession {
  const { id, timeoutMs, ...rest } = options;
  return new TransactionalSession({
    cluster,
    transactionalId: id ?? 'billing-usage-0',
    transactionTimeoutMs: timeoutMs ?? 10_000,
    ports: systemPorts,
    log: silentLog,
    ...rest,
  });
}

/** The error that a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<EscapementError> {
  const settled = vi.fn();
  try {
    await promise;
    settled();
  } catch (cause) {
    if (cause instanceof EscapementError) return cause;
    throw cause;
  }
  throw new Error('the promise resolved');
}

export interface Written {
  readonly place: string;
  readonly producerId: number;
  readonly epoch: number;
  readonly baseSequence: number;
  readonly bytes: string;
}

/** Partitions of a Produce request with what stands in the header of their batch. */
export function partitionsIn(body: Record<string, unknown>): Written[] {
  const topics = body.topicData as {
    name: string;
    partitionData: { index: number; records: Uint8Array }[];
  }[];
  return topics.flatMap(({ name, partitionData }) =>
    partitionData.map(({ index, records }) => {
      const bytes = Buffer.from(records);
      return {
        place: `${name}-${index}`,
        producerId: Number(bytes.readBigInt64BE(43)),
        epoch: bytes.readInt16BE(51),
        baseSequence: bytes.readInt32BE(53),
        bytes: bytes.toString('hex'),
      };
    }),
  );
}
