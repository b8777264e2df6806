/** Steps and sessions for the tests of the producer. */
import { vi } from 'vitest';
import { EscapementError } from '../../../src/errors.ts';
import type { SessionCluster } from '../../../src/kafka/producer/coordinator-requests.ts';
import { TransactionalSession } from '../../../src/kafka/producer/session.ts';
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
  options: { id?: string; timeoutMs?: number } = {},
): TransactionalSession {
  return new TransactionalSession({
    cluster,
    transactionalId: options.id ?? 'billing-usage-0',
    transactionTimeoutMs: options.timeoutMs ?? 10_000,
    ports: systemPorts,
    log: silentLog,
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
