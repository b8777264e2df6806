/** The arithmetic of billing: exact int64, and an error where it would overflow. */
import { createHash } from 'node:crypto';
import type { Windowed } from 'escapement';
import type { Invoice, Meter, Usage } from './usage.ts';

/** Price of one unit in millionths of the currency. */
export const PRICE_MICROS: Readonly<Record<Meter, bigint>> = {
  REQUESTS: 4n,
  STORAGE: 11n,
  EGRESS: 90n,
};

/** What is kept per customer and hour until the window closes. */
export interface Tally {
  readonly events: bigint;
  readonly quantities: Readonly<Record<string, bigint>>;
}

const INT64_MAX = 2n ** 63n - 1n;

export function emptyTally(): Tally {
  return { events: 0n, quantities: {} };
}

/** Throws a RangeError for a negative quantity or a sum, or its price, beyond int64. */
export function addUsage(tally: Tally, usage: Usage): Tally {
  if (usage.quantity < 0n) throw new RangeError(`the quantity ${usage.quantity} is negative`);
  const quantity = int64((tally.quantities[usage.meter] ?? 0n) + usage.quantity, 'a quantity');
  const next = {
    events: int64(tally.events + 1n, 'the number of events'),
    quantities: { ...tally.quantities, [usage.meter]: quantity },
  };
  // A bill that could not be written later must fail now, at the record that makes it too large.
  amountMicros(next);
  return next;
}

export function invoiceOf({ key, start, end }: Windowed<string>, tally: Tally): Invoice {
  return {
    invoiceId: invoiceId(key, start, end),
    customerId: key,
    windowStart: BigInt(start),
    windowEnd: BigInt(end),
    events: tally.events,
    quantities: tally.quantities,
    amountMicros: amountMicros(tally),
  };
}

/** The same for the same customer and hour, for ever. */
export function invoiceId(customerId: string, start: number, end: number): string {
  return createHash('sha256').update(`${customerId}|${start}|${end}`).digest('hex');
}

function amountMicros({ quantities }: Tally): bigint {
  let amount = 0n;
  for (const [meter, quantity] of Object.entries(quantities)) {
    amount = int64(amount + quantity * PRICE_MICROS[meter as Meter], 'an amount');
  }
  return amount;
}

function int64(value: bigint, what: string): bigint {
  if (value > INT64_MAX) throw new RangeError(`${what} exceeds int64: ${value}`);
  return value;
}
