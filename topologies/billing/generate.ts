/**
 * Usage events that follow from a seed: the input of the demonstration.
 *
 * Event time rises over some hours, out of order within the grace period. One event in a hundred is
 * late, which is decided against the stream time that its partition has when it is read there. Ten
 * events are damaged on their way into a record.
 *
 * Lazy: a run of fifty million events holds one at a time.
 */
import { partitionOfCustomer } from './customer-partition.ts';
import { type Random, seededRandom } from './random.ts';
import { METERS, type Usage } from './usage.ts';

export interface GenerateOptions {
  /** Undamaged events. */
  readonly events: number;
  readonly customers: number;
  readonly seed: number;
  readonly partitions: number;
}

export interface GeneratedUsage {
  readonly partition: number;
  readonly usage: Usage;
  /** Which damage `damaged` is to do to the encoded event, or `null`: none. */
  readonly damage: number | null;
}

const HOUR_MS = 3_600_000;
const GRACE_MS = 600_000;
/** 1 January 2026: a fixed start, so that a seed gives the same events on every day. */
const START_MS = 1_767_225_600_000;
const SPAN_MS = 6 * HOUR_MS;
/** How far an event may lie behind the newest: less than the grace, so it is never late. */
const DISORDER_MS = 9 * 60_000;
const LATE_SHARE = 0.01;
const DAMAGED = 10;
const QUANTITY_MAX = 1_000_000;

export function* generateUsage(options: GenerateOptions): Generator<GeneratedUsage> {
  const { events, customers, seed, partitions } = options;
  const random = seededRandom(seed);
  const streamTimes: number[] = new Array(partitions).fill(-1);
  const names = customerNames(customers).map((name) => ({
    name,
    partition: partitionOfCustomer(name, partitions),
  }));
  const damagedAfter = damagePositions(random, events);
  let lateOwed = 0;
  let damage = 0;
  for (let index = 0; index < events; index += 1) {
    const { name, partition } = names[random.below(customers)]!;
    const streamTime = streamTimes[partition]!;
    const now = START_MS + Math.floor((index / events) * SPAN_MS);
    lateOwed += LATE_SHARE;
    const lateAt = lateOwed >= 1 ? lateTime(random, streamTime) : null;
    if (lateAt !== null) lateOwed -= 1;
    const at = lateAt ?? Math.max(START_MS, now - random.below(DISORDER_MS));
    streamTimes[partition] = Math.max(streamTime, at);
    yield { partition, usage: usageOf(random, `event-${index}`, name, at), damage: null };
    while (damagedAfter[damage] === index) {
      const time = Math.max(START_MS, streamTimes[partition]!);
      const usage = usageOf(random, `damaged-${damage}`, name, time);
      yield { partition, usage, damage };
      damage += 1;
    }
  }
}

/** Some names are not ASCII: keys are bytes, and text is UTF-8. */
function customerNames(customers: number): string[] {
  return Array.from({ length: customers }, (_, index) =>
    index % 50 === 7 ? `zoë-${index}` : `customer-${index}`,
  );
}

function usageOf(random: Random, eventId: string, customerId: string, at: number): Usage {
  const meter = METERS[random.below(METERS.length)]!;
  return {
    eventId,
    customerId,
    meter,
    quantity: BigInt(random.below(QUANTITY_MAX)),
    at: BigInt(at),
  };
}

/** A time in a window that is closed at this stream time, or `null` while there is none. */
function lateTime(random: Random, streamTime: number): number | null {
  const end = Math.floor((streamTime - GRACE_MS) / HOUR_MS) * HOUR_MS;
  if (end <= START_MS) return null;
  return START_MS + random.below(end - START_MS);
}

/** Sorted indices of the events that a damaged one follows. */
function damagePositions(random: Random, events: number): number[] {
  return Array.from({ length: DAMAGED }, () => random.below(events)).sort((a, b) => a - b);
}

/** An encoded event (Confluent's framing) in a state that no reader can decode. */
export function damaged(encoded: Buffer, damage: number): Buffer {
  const copy = Buffer.from(encoded);
  switch (damage % DAMAGED) {
    case 0:
      return Buffer.alloc(0);
    case 1:
      return copy.subarray(0, 3);
    case 2:
      copy[0] = 7;
      return copy;
    case 3:
      // An id that no registry gives out.
      copy.writeInt32BE(0x7fff_fff0, 1);
      return copy;
    case 4:
      return copy.subarray(0, Math.floor(copy.length / 2));
    case 5:
      return Buffer.concat([copy, Buffer.from([0])]);
    case 6:
      // The first byte of the event id: no UTF-8 begins with it.
      copy[6] = 0xff;
      return copy;
    case 7:
      // The length of the event id, far beyond the end.
      return Buffer.concat([
        copy.subarray(0, 5),
        Buffer.from('feffffff0f', 'hex'),
        copy.subarray(6),
      ]);
    case 8: {
      // The meter's index; both ids before it are short, so their lengths take one byte.
      const customer = 6 + (copy[5]! >> 1);
      copy[customer + 1 + (copy[customer]! >> 1)] = 100;
      return copy;
    }
    default:
      return Buffer.from('{"eventId":"this is JSON"}');
  }
}
