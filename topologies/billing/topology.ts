/**
 * Billing: usage events -> hourly usage per customer -> one invoice per customer and hour.
 *
 * A window takes events while its end + grace is after the partition's stream time; when it closes,
 * its invoice is emitted once. Late events and undecodable ones are kept, in the same transaction as
 * their offset.
 */
import {
  type AvroOptions,
  avro,
  deadLetter,
  mapValues,
  peek,
  type Registry,
  selectKey,
  string,
  to,
  topology,
  tumbling,
  windowedAggregate,
} from 'escapement';
import { addUsage, emptyTally, invoiceOf, type Tally } from './invoice.ts';
import { invoiceSchema, tallySchema, usageSchema } from './schemas.ts';
import type { Invoice, Usage } from './usage.ts';

export const WINDOW_MS = 3_600_000;
export const GRACE_MS = 600_000;

/** Where a record came from, for those who watch the run. */
export interface UsagePosition {
  readonly partition: number;
  readonly offset: number;
}

export interface BillingOptions {
  readonly watch?: (position: UsagePosition) => void;
  /** By which schema ids that the registry did not know are asked for again. Default: the system's. */
  readonly clock?: NonNullable<AvroOptions['clock']>;
}

export function billing(registry: Registry, { watch = () => {}, clock }: BillingOptions = {}) {
  const customer = string();
  const time = clock === undefined ? {} : { clock };
  const usage = avro<Usage>({
    subject: 'usage-events-value',
    schema: usageSchema,
    registry,
    long: 'bigint',
    ...time,
  });
  const tally = avro<Tally>({
    subject: 'billing-usage-by-hour-changelog-value',
    schema: tallySchema,
    registry,
    long: 'bigint',
    ...time,
  });
  const invoice = avro<Invoice>({
    subject: 'invoices-value',
    schema: invoiceSchema,
    registry,
    long: 'bigint',
    ...time,
  });

  const app = topology('billing');
  app
    .stream('usage-events', { key: customer, value: usage, onError: deadLetter('usage-dead') })
    .pipe(
      peek((record) => watch(record.meta)),
      windowedAggregate({
        name: 'usage-by-hour',
        window: tumbling({ sizeMs: WINDOW_MS, graceMs: GRACE_MS }),
        key: customer,
        value: tally,
        init: emptyTally,
        add: addUsage,
        emit: 'final',
        late: (events) => events.pipe(to('usage-late', { key: customer, value: usage })),
      }),
      mapValues((total, record) => invoiceOf(record.key, total)),
      selectKey((record) => record.key.key),
      to('invoices', { key: customer, value: invoice }),
    );
  return app;
}
