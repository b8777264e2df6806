/**
 * Encodes and decodes message bodies by their layouts: the one engine for client and broker.
 *
 * Called once per request, not per record. Headers are the transport's.
 *
 * I1. Malformed bytes throw `PROTOCOL_MALFORMED`: they never hang, and never allocate more than in
 *     proportion to the bytes that are there.
 * I2. Byte fields are views into the message; nothing of a record batch is copied on decode.
 * I3. A value that the version cannot carry is refused unless its layout says to ignore it.
 */
import { EscapementError } from '../../errors.ts';
import { APIS } from './apis.ts';
import {
  type FieldPlan,
  fallbackOf,
  isFallback,
  planOf,
  type Side,
  type StructPlan,
} from './plan.ts';
import { Reader } from './reader.ts';
import type { Api, ServedApi } from './schema.ts';
import { Writer } from './writer.ts';

/** A JavaScript string of more bytes cannot be sent as an int16-length string. */
const STRING_BYTES_MAX = 0x7fff;

export function encodeRequest<Req>(
  api: Api<Req, unknown>,
  version: number,
  body: NoInfer<Req>,
): Buffer {
  return encode(api, 'request', version, body);
}

export function decodeResponse<Res>(api: Api<unknown, Res>, version: number, buffer: Buffer): Res {
  return decode(api, 'response', version, buffer) as Res;
}

export function decodeRequest<Received>(
  api: ServedApi<unknown, unknown, Received, unknown>,
  version: number,
  buffer: Buffer,
): Received {
  return decode(api, 'request', version, buffer) as Received;
}

export function encodeResponse<Reply>(
  api: ServedApi<unknown, unknown, unknown, Reply>,
  version: number,
  body: NoInfer<Reply>,
): Buffer {
  return encode(api, 'response', version, body);
}

/**
 * True when the version uses the longer headers: request header v2, response header v1.
 * The response header of ApiVersions is v0 at every version (KIP-511); that is the adapter's case.
 */
export function isFlexible(apiKey: number, version: number): boolean {
  const api = APIS.get(apiKey);
  return api !== undefined && version >= api.flexibleFrom;
}

function encode(api: Api, side: Side, version: number, body: unknown): Buffer {
  const subject = checked(api, side, version);
  const writer = new Writer(subject);
  writeStruct(writer, planOf(api, side, version), body);
  return writer.finish();
}

function decode(api: Api, side: Side, version: number, buffer: Buffer): unknown {
  const reader = new Reader(buffer, checked(api, side, version));
  const value = readStruct(reader, planOf(api, side, version));
  if (reader.left > 0) throw reader.malformed(`${reader.left} surplus bytes`);
  return value;
}

function checked(api: Api, side: Side, version: number): string {
  const [min, max] = api.versions;
  if (Number.isInteger(version) && version >= min && version <= max) {
    return `${api.name} v${version} ${side}`;
  }
  throw new EscapementError(
    'PROTOCOL_MALFORMED',
    `${api.name} is spoken in versions ${min} to ${max}, not ${version}.`,
  );
}

function readStruct(reader: Reader, plan: StructPlan): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const field of plan.fields) value[field.name] = readField(reader, field, plan.flexible);
  for (const field of plan.tagged) value[field.name] = fallbackOf(field);
  for (const field of plan.absent) value[field.name] = fallbackOf(field.plan);
  if (plan.flexible) readTagged(reader, plan, value);
  return value;
}

/** Tags ascend (KIP-482); unknown ones are passed over. */
function readTagged(reader: Reader, plan: StructPlan, value: Record<string, unknown>): void {
  const count = reader.varint();
  if (count * 2 > reader.left) throw reader.malformed(`${count} tagged fields`);
  let previous = -1;
  for (let index = 0; index < count; index++) {
    const tag = reader.varint();
    if (tag <= previous) throw reader.malformed(`tag ${tag} after tag ${previous}`);
    previous = tag;
    const size = reader.varint();
    if (size > reader.left) throw reader.malformed(`a tagged field of ${size} bytes`);
    const end = reader.at + size;
    const field = plan.tagged.find((known) => known.tag === tag);
    if (field === undefined) reader.take(size);
    else value[field.name] = readField(reader, field, true);
    if (reader.at !== end) throw reader.malformed(`tag ${tag} not of ${size} bytes`);
  }
}

function readField(reader: Reader, field: FieldPlan, flexible: boolean): unknown {
  switch (field.kind) {
    case 'boolean':
      return reader.boolean();
    case 'int8':
      return reader.int8();
    case 'int16':
      return reader.int16();
    case 'int32':
      return reader.int32();
    case 'int64':
      return reader.int64();
    case 'uuid':
      return reader.uuid();
    case 'struct':
      if (field.nullable && field.tag < 0 && reader.int8() < 0) return null;
      return readStruct(reader, field.struct!);
    default:
      return readSized(reader, field, flexible);
  }
}

function readSized(reader: Reader, field: FieldPlan, flexible: boolean): unknown {
  const length = flexible
    ? reader.varint() - 1
    : field.kind === 'string'
      ? reader.int16()
      : reader.int32();
  if (length === -1) {
    // Old answers carry null where the specification knows none: records may always be absent.
    if (field.nullable || field.kind === 'records') return null;
    throw reader.malformed(`null in ${field.name}`);
  }
  if (length < 0) throw reader.malformed(`length ${length} of ${field.name}`);
  if (field.kind === 'string') return reader.string(length);
  if (field.kind !== 'array') return reader.view(length);
  const element = field.element!;
  const bytesMin = element.struct === null ? element.bytesMin : element.struct.bytesMin;
  if (length * Math.max(1, bytesMin) > reader.left) {
    throw reader.malformed(`${length} elements of ${field.name} in ${reader.left} bytes`);
  }
  const values: unknown[] = [];
  for (let index = 0; index < length; index++) values.push(readField(reader, element, flexible));
  return values;
}

function writeStruct(writer: Writer, plan: StructPlan, value: unknown): void {
  if (typeof value !== 'object' || value === null) throw writer.unfit(value, 'an object');
  const struct = value as Record<string, unknown>;
  for (const { name, whenAbsent, plan: field } of plan.absent) {
    if (whenAbsent === 'ignore' || isFallback(field, struct[name])) continue;
    writer.field = name;
    throw writer.unfit(struct[name], 'its default, since this version does not carry it');
  }
  for (const field of plan.fields) {
    const given = struct[field.name];
    writeField(writer, field, given === undefined ? fallbackOf(field) : given, plan.flexible);
  }
  if (plan.flexible) writeTagged(writer, plan, struct);
}

function writeTagged(writer: Writer, plan: StructPlan, struct: Record<string, unknown>): void {
  const present = plan.tagged.filter((field) => !isFallback(field, struct[field.name]));
  writer.varint(present.length);
  for (const field of present) {
    const content = new Writer(field.name);
    writeField(content, field, struct[field.name], true);
    const bytes = content.finish();
    writer.varint(field.tag);
    writer.varint(bytes.length);
    writer.bytes(bytes);
  }
}

function writeField(writer: Writer, field: FieldPlan, value: unknown, flexible: boolean): void {
  writer.field = field.name;
  switch (field.kind) {
    case 'boolean':
      writer.boolean(value as boolean);
      break;
    case 'int8':
      writer.int8(value as number);
      break;
    case 'int16':
      writer.int16(value as number);
      break;
    case 'int32':
      writer.int32(value as number);
      break;
    case 'int64':
      writer.int64(value as number);
      break;
    case 'uuid':
      writer.uuid(value as string);
      break;
    case 'struct':
      if (field.nullable && field.tag < 0) writer.int8(value === null ? -1 : 1);
      if (value !== null || !field.nullable) writeStruct(writer, field.struct!, value);
      break;
    default:
      if (value === null) writeNull(writer, field, flexible);
      else writeSized(writer, field, value, flexible);
  }
}

function writeNull(writer: Writer, field: FieldPlan, flexible: boolean): void {
  if (!field.nullable) throw writer.unfit(null, `a value (${field.kind})`);
  writeLength(writer, field, -1, flexible);
}

function writeSized(writer: Writer, field: FieldPlan, value: unknown, flexible: boolean): void {
  if (field.kind === 'string') {
    if (typeof value !== 'string') throw writer.unfit(value, 'a string');
    const length = Buffer.byteLength(value);
    if (length > STRING_BYTES_MAX) {
      throw writer.unfit(`of ${length} bytes`, `at most ${STRING_BYTES_MAX} bytes of UTF-8`);
    }
    writeLength(writer, field, length, flexible);
    writer.string(value, length);
  } else if (field.kind === 'array') {
    if (!Array.isArray(value)) throw writer.unfit(value, 'an array');
    writeLength(writer, field, value.length, flexible);
    for (const one of value) writeField(writer, field.element!, one, flexible);
  } else {
    if (!(value instanceof Uint8Array)) throw writer.unfit(value, 'a Buffer');
    writeLength(writer, field, value.length, flexible);
    writer.bytes(value);
  }
}

function writeLength(writer: Writer, field: FieldPlan, length: number, flexible: boolean): void {
  if (flexible) writer.varint(length + 1);
  else if (field.kind === 'string') writer.int16(length);
  else writer.int32(length);
}
