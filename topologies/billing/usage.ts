/** The records of billing as they look in TypeScript; longs are bigint, and exact. */
export const METERS = ['REQUESTS', 'STORAGE', 'EGRESS'] as const;
export type Meter = (typeof METERS)[number];

/** A value of `usage-events`. */
export interface Usage {
  readonly eventId: string;
  readonly customerId: string;
  readonly meter: Meter;
  readonly quantity: bigint;
  /** Epoch milliseconds. */
  readonly at: bigint;
}

/** A value of `invoices`. */
export interface Invoice {
  readonly invoiceId: string;
  readonly customerId: string;
  readonly windowStart: bigint;
  readonly windowEnd: bigint;
  readonly events: bigint;
  /** Only meters that were seen. */
  readonly quantities: Readonly<Record<string, bigint>>;
  readonly amountMicros: bigint;
}
