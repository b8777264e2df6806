/**
 * The input of a run, from a seed or from a file: the same sequence each time it is read, so that
 * nothing of it is held in memory. Read once to count, once to write, once to judge.
 */
import { setImmediate } from 'node:timers/promises';
import { avro, type Registry } from 'escapement';
import { type InputRecord, PARTITIONS } from './cluster.ts';
import { partitionOfCustomer } from './customer-partition.ts';
import { damaged, generateUsage } from './generate.ts';
import type { BillingOptions } from './options.ts';
import { readUsage } from './read-jsonl.ts';
import { usageSchema } from './schemas.ts';
import type { Usage } from './usage.ts';

/** Records made before signals and sockets get their turn. */
const RECORDS_PER_TURN = 10_000;

export interface UsageRecord extends InputRecord {
  readonly key: Buffer;
  readonly value: Buffer;
  /** `null`: damaged, no reader can decode it. */
  readonly usage: Usage | null;
}

export interface BillingInput {
  /** Records to write, damaged ones included. */
  readonly total: number;
  /** Valid events. */
  readonly events: number;
  /** Lines of the file that are no events. */
  readonly rejected: number;
  /** Latest event time, 0 without events. */
  readonly latest: number;
  read(): AsyncIterable<UsageRecord>;
}

/** Reads everything once; `refused` hears of each bad line of a file. */
export async function openInput(
  options: BillingOptions,
  registry: Registry,
  refused: (line: number, reason: string) => void,
): Promise<BillingInput> {
  const encode = await usageEncoder(registry);
  const read = (hear: typeof refused): AsyncIterable<UsageRecord> =>
    options.input === null ? generated(options, encode) : fromFile(options.input, encode, hear);
  let total = 0;
  let events = 0;
  let rejected = 0;
  let latest = 0;
  const count = (line: number, reason: string): void => {
    rejected += 1;
    refused(line, reason);
  };
  for await (const { usage, timestamp } of read(count)) {
    total += 1;
    if (usage !== null) events += 1;
    latest = Math.max(latest, timestamp);
  }
  return { total, events, rejected, latest, read: () => read(() => {}) };
}

type Encode = (usage: Usage) => Buffer;

async function usageEncoder(registry: Registry): Promise<Encode> {
  const serde = avro<Usage>({
    subject: 'usage-events-value',
    schema: usageSchema,
    registry,
    long: 'bigint',
  });
  await serde.schemas.start();
  let scratch = Buffer.alloc(1024);
  return (usage) => {
    for (;;) {
      const end = serde.encode(usage, scratch, 0);
      if (end >= 0) return Buffer.from(scratch.subarray(0, end));
      scratch = Buffer.alloc(scratch.length - end);
    }
  };
}

async function* generated(options: BillingOptions, encode: Encode): AsyncGenerator<UsageRecord> {
  const { events, customers, seed } = options;
  let count = 0;
  for (const made of generateUsage({ events, customers, seed, partitions: PARTITIONS })) {
    const { partition, usage, damage } = made;
    count += 1;
    if (count % RECORDS_PER_TURN === 0) await setImmediate();
    const value = encode(usage);
    yield {
      partition,
      key: Buffer.from(usage.customerId),
      value: damage === null ? value : damaged(value, damage),
      timestamp: Number(usage.at),
      usage: damage === null ? usage : null,
    };
  }
}

async function* fromFile(
  path: string,
  encode: Encode,
  refused: (line: number, reason: string) => void,
): AsyncGenerator<UsageRecord> {
  for await (const line of readUsage(path)) {
    if ('reason' in line) {
      refused(line.line, line.reason);
      continue;
    }
    const { usage } = line;
    yield {
      partition: partitionOfCustomer(usage.customerId, PARTITIONS),
      key: Buffer.from(usage.customerId),
      value: encode(usage),
      timestamp: Number(usage.at),
      usage,
    };
  }
}
