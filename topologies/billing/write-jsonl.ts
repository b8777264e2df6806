/** Writes `--invoices`: one JSON object a line, longs with all their digits, in a fixed order. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { type Invoice, METERS } from './usage.ts';

const LINES_PER_WRITE = 1_000;

/** An invoice as a JSON object. Int64 become JSON numbers, exact beyond 2^53 too. */
export function invoiceLine(invoice: Invoice): string {
  const { quantities } = invoice;
  const seen = Object.keys(quantities).sort((a, b) => rank(a) - rank(b));
  const meters = seen.map((meter) => `${JSON.stringify(meter)}:${quantities[meter]}`);
  return (
    `{"invoiceId":${JSON.stringify(invoice.invoiceId)}` +
    `,"customerId":${JSON.stringify(invoice.customerId)}` +
    `,"windowStart":${invoice.windowStart},"windowEnd":${invoice.windowEnd}` +
    `,"events":${invoice.events},"quantities":{${meters.join(',')}}` +
    `,"amountMicros":${invoice.amountMicros}}`
  );
}

function rank(meter: string): number {
  return (METERS as readonly string[]).indexOf(meter);
}

/** By customer id as UTF-8 bytes, then by window. UTF-16 order differs beyond the basic plane. */
export function sortInvoices(invoices: readonly Invoice[]): Invoice[] {
  const keyed = invoices.map((invoice) => ({ invoice, id: Buffer.from(invoice.customerId) }));
  keyed.sort(
    (a, b) => Buffer.compare(a.id, b.id) || Number(a.invoice.windowStart - b.invoice.windowStart),
  );
  return keyed.map(({ invoice }) => invoice);
}

/** Replaces the file. Throws when it cannot be written. */
export function writeInvoices(path: string, invoices: readonly Invoice[]): void {
  const file = openSync(path, 'w');
  try {
    const sorted = sortInvoices(invoices);
    for (let start = 0; start < sorted.length; start += LINES_PER_WRITE) {
      const lines = sorted.slice(start, start + LINES_PER_WRITE).map(invoiceLine);
      const bytes = Buffer.from(`${lines.join('\n')}\n`);
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    }
  } finally {
    closeSync(file);
  }
}
