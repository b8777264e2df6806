/** Events and invoices of billing in Avro with Confluent's frame, read and written by avsc alone. */
import avsc from 'avsc';
import { invoiceSchema, usageSchema } from './schemas.ts';
import type { Invoice, Usage } from './usage.ts';

const FRAME_BYTES = 5;

const longs = avsc.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(value);
    return buffer;
  },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
});

const isLong = (node: unknown): boolean =>
  node === 'long' || (node as { type?: unknown }).type === 'long';

// The hook sees every node; times are longs with a logical type.
const typeOf = (schema: string): avsc.Type =>
  avsc.Type.forSchema(JSON.parse(schema), {
    typeHook: (node) => (isLong(node) ? longs : undefined),
  });

const usageType = typeOf(usageSchema);
const invoiceType = typeOf(invoiceSchema);

export function encodeUsage(usage: Usage, schemaId: number): Buffer {
  const frame = Buffer.alloc(FRAME_BYTES);
  frame.writeInt32BE(schemaId, 1);
  return Buffer.concat([frame, usageType.toBuffer(usage)]);
}

export function decodeUsage(value: Buffer): Usage {
  return usageType.fromBuffer(value.subarray(FRAME_BYTES)) as Usage;
}

export function decodeInvoice(value: Buffer): Invoice {
  return invoiceType.fromBuffer(value.subarray(FRAME_BYTES)) as Invoice;
}
