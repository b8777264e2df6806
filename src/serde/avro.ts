/**
 * Avro values in Confluent's framing: a zero byte, the schema id as int32, the value.
 *
 * Called by the runtime: `start` once, `schemas.prepare` before a batch that brings a new id,
 * `decode` and `encode` per record. What a writer id means for this reader is worked out once and
 * kept for ever: ids never change their meaning.
 *
 * I1. `decode` and `encode` are synchronous, allocate nothing besides the value and fail with
 *     `SERDE_FAILED`, `SCHEMA_UNKNOWN` or `SCHEMA_INCOMPATIBLE`, all of them record errors.
 * I2. An id is ready when its verdict is known, also a bad one: a schema that cannot be had or used
 *     fails the records that name it. A registry that does not answer is no verdict: `prepare`
 *     rejects and nothing is decided about any record.
 * I3. "Not registered" is the one verdict that may change, so it is asked again after a while.
 * I4. A value uses up its bytes exactly.
 */
import { type Known, refuseMissing, refuseOther, refuseUnknown } from '../config/known-options.ts';
import { EscapementError, messageOf } from '../errors.ts';
import { type Clock, systemPorts } from '../ports.ts';
import { AvroCursor } from './avro-cursor.ts';
import { type AvroSchema, compactSchema, normalForm, parseSchema } from './avro-schema.ts';
import { type LongRepresentation, readerType, resolve, writerType } from './avro-types.ts';
import type { AvroReader, AvroType } from './avsc-types.ts';
import { kindOf } from './kind-of.ts';
import type { Registry } from './registry.ts';
import type { SchemaPreparation, Serde } from './serde.ts';

export interface AvroOptions {
  /** Subject under which values are written: `<topic>-value` by Confluent's TopicName strategy. */
  readonly subject: string;
  /** The schema that records are read as and written with: `.avsc` text or its parsed form. */
  readonly schema: string | AvroSchema;
  readonly registry: Registry;
  /**
   * How int64 looks in JavaScript. `number` (default): a record with a long beyond 2^53 - 1 fails.
   * `bigint`: every long is a bigint and exact; safe numbers are accepted when writing.
   */
  readonly long?: LongRepresentation;
  /** Default: the system's clock. */
  readonly clock?: Clock;
}

const KNOWN: Known<AvroOptions> = {
  subject: true,
  schema: true,
  registry: true,
  long: true,
  clock: true,
};
const NEEDED = ['subject', 'schema', 'registry'];

export interface AvroSerde<T> extends Serde<T> {
  readonly subject: string;
  readonly schemas: SchemaPreparation;
  /** The schema in the spelling that is sent to registries. */
  readonly schemaText: string;
  /** How its longs look in JavaScript. */
  readonly long: LongRepresentation;
}

const FRAME_BYTES = 5;
/** How long an id counts as unknown before the registry is asked again: doubled up to the limit. */
const UNKNOWN_FIRST_MS = 10_000;
const UNKNOWN_LIMIT_MS = 300_000;

type Verdict =
  | { readonly kind: 'readable'; readonly reader: AvroReader }
  | { readonly kind: 'unreadable'; readonly error: EscapementError }
  | { readonly kind: 'unknown'; readonly askAgainAt: number; readonly waitMs: number };

/**
 * Values of type `T` in Avro, registered under a subject of a schema registry.
 *
 * Reads what any compatible writer wrote and writes with `schema`. Every field must be present when
 * writing: a default of the schema is for reading old data. Throws `OPTION_INVALID` when the schema
 * is not valid. Java: `GenericAvroSerde` with `auto.register.schemas=false`.
 */
export function avro<T>(options: AvroOptions): AvroSerde<T> {
  const where = `avro('${options?.subject}')`;
  refuseUnknown(where, options, KNOWN);
  refuseMissing(where, options, NEEDED);
  refuseOther(where, 'long', options.long, 'number', 'bigint');
  return new ConfluentAvro<T>(options);
}

class ConfluentAvro<T> implements AvroSerde<T>, SchemaPreparation {
  readonly name: string;
  readonly subject: string;
  readonly schemaText: string;
  readonly long: LongRepresentation;
  readonly #registry: Registry;
  readonly #givenText: string | null;
  readonly #clock: Clock;
  readonly #reader: AvroType;
  readonly #writer: AvroType;
  readonly #normalText: string;
  readonly #cursor = new AvroCursor();
  readonly #verdicts = new Map<number, Verdict>();
  readonly #asking = new Map<number, Promise<void>>();
  #starting: Promise<void> | null = null;
  #writeId = -1;
  /** The last readable id, so that a run of records of one writer costs no look-up. */
  #lastId = -1;
  #lastReader: AvroReader | null = null;

  constructor(options: AvroOptions) {
    const schema =
      typeof options.schema === 'string' ? parseSchema(options.schema) : options.schema;
    this.subject = options.subject;
    this.name = `avro(${options.subject})`;
    this.schemaText = compactSchema(schema);
    this.#givenText = typeof options.schema === 'string' ? options.schema : null;
    this.#registry = options.registry;
    this.long = options.long ?? 'number';
    this.#clock = options.clock ?? systemPorts.clock;
    this.#reader = readerType(schema, this.long);
    this.#writer = writerType(schema, this.long);
    this.#normalText = JSON.stringify(normalForm(schema));
  }

  get schemas(): SchemaPreparation {
    return this;
  }

  decode(buffer: Buffer, start: number, end: number): T {
    const id = frameId(buffer, start, end);
    const reader = id === this.#lastId ? this.#lastReader! : this.#readerOf(id);
    const cursor = this.#cursor;
    cursor.open(buffer, start + FRAME_BYTES, end);
    try {
      const value = reader._read(cursor) as T;
      if (cursor.position !== end) {
        throw new EscapementError(
          'SERDE_FAILED',
          `${this.name}: ${end - cursor.position} bytes are left after the value (schema id ${id})`,
        );
      }
      return value;
    } catch (cause) {
      throw serdeError(cause, `${this.name}: a value of schema id ${id} cannot be read`);
    } finally {
      cursor.close();
    }
  }

  encode(value: T, buffer: Buffer, at: number): number {
    const id = this.#writeId;
    if (id < 0) {
      throw new EscapementError(
        'SERDE_FAILED',
        `${this.name}: the schema id is not known yet: await schemas.start() before writing`,
        { decision: 'stop' },
      );
    }
    const cursor = this.#cursor;
    // Part of the frame may be missing too: the value then is only measured.
    const room = buffer.length - at;
    cursor.open(buffer, at + FRAME_BYTES, buffer.length);
    try {
      this.#writer._write(cursor, value);
    } catch (cause) {
      throw unfit(cause, this.#writer, value, this.name);
    } finally {
      cursor.close();
    }
    const length = cursor.position - at;
    if (length > room) return room - length;
    buffer[at] = 0;
    buffer[at + 1] = id >>> 24;
    buffer[at + 2] = id >>> 16;
    buffer[at + 3] = id >>> 8;
    buffer[at + 4] = id;
    return cursor.position;
  }

  idOf(buffer: Buffer, start: number, end: number): number {
    if (end - start < FRAME_BYTES || buffer[start] !== 0 || buffer[start + 1]! > 0x7f) return -1;
    return readId(buffer, start);
  }

  isReady(id: number): boolean {
    if (id === this.#lastId) return true;
    const verdict = this.#verdicts.get(id);
    if (verdict === undefined) return false;
    return verdict.kind !== 'unknown' || this.#clock.now() < verdict.askAgainAt;
  }

  async prepare(ids: readonly number[]): Promise<void> {
    const missing = ids.filter((id) => id >= 0 && !this.isReady(id));
    await Promise.all(missing.map((id) => this.#ask(id)));
  }

  start(): Promise<void> {
    this.#starting ??= this.#lookUpWriteId().catch((cause: unknown) => {
      this.#starting = null;
      throw cause;
    });
    return this.#starting;
  }

  problemOf(id: number): EscapementError | null {
    const verdict = this.#verdicts.get(id);
    if (verdict?.kind === 'unreadable') return verdict.error;
    return verdict?.kind === 'unknown' ? this.#unknown(id) : null;
  }

  #readerOf(id: number): AvroReader {
    const verdict = this.#verdicts.get(id);
    if (verdict?.kind === 'unreadable') throw verdict.error;
    if (verdict?.kind !== 'readable') throw this.#unknown(id);
    this.#lastId = id;
    this.#lastReader = verdict.reader;
    return verdict.reader;
  }

  #unknown(id: number): EscapementError {
    return new EscapementError(
      'SCHEMA_UNKNOWN',
      `${this.name}: the registry does not know schema id ${id}: the record was written with another registry, or is not Avro`,
    );
  }

  /** One question per id, however many partitions wait for it. */
  #ask(id: number): Promise<void> {
    let asking = this.#asking.get(id);
    if (asking === undefined) {
      asking = this.#decide(id).finally(() => this.#asking.delete(id));
      this.#asking.set(id, asking);
    }
    return asking;
  }

  async #decide(id: number): Promise<void> {
    let text: string;
    try {
      text = await this.#registry.schemaById(id);
    } catch (error) {
      this.#verdicts.set(id, this.#refused(id, error));
      return;
    }
    this.#verdicts.set(id, this.#judge(id, text));
  }

  /** What the registry's refusal means for the records that name the id; throws what is no verdict. */
  #refused(id: number, error: unknown): Verdict {
    if (!isUnknown(error)) {
      if (error instanceof EscapementError && error.decision === 'record') {
        return this.#unreadable(id, error);
      }
      throw error;
    }
    const before = this.#verdicts.get(id);
    const waitMs =
      before?.kind === 'unknown' ? Math.min(before.waitMs * 2, UNKNOWN_LIMIT_MS) : UNKNOWN_FIRST_MS;
    return { kind: 'unknown', askAgainAt: this.#clock.now() + waitMs, waitMs };
  }

  #judge(id: number, text: string): Verdict {
    try {
      const schema = parseSchema(text);
      const same = JSON.stringify(normalForm(schema)) === this.#normalText;
      const reader = same ? this.#reader : resolve(this.#reader, writerType(schema, this.long));
      return { kind: 'readable', reader };
    } catch (cause) {
      return this.#unreadable(id, cause);
    }
  }

  /** The record's policy decides: a poison record must not stop a topic that is well otherwise. */
  #unreadable(id: number, cause: unknown): Verdict {
    const reason = messageOf(cause);
    const error = new EscapementError(
      'SCHEMA_INCOMPATIBLE',
      `${this.name}: schema id ${id} cannot be read as the schema of the topology: ${reason}`,
      { cause, decision: 'record' },
    );
    return { kind: 'unreadable', error };
  }

  writes(): { readonly subject: string; readonly schemaId: number } | null {
    return this.#writeId < 0 ? null : { subject: this.subject, schemaId: this.#writeId };
  }

  async #lookUpWriteId(): Promise<void> {
    const id = await this.#registry
      .idOf(this.subject, this.schemaText)
      .catch((error: unknown) => {
        // Some registries compare texts: what was registered may be the file as it stands.
        const given = this.#givenText;
        if (given === null || given === this.schemaText || !isUnknown(error)) throw error;
        return this.#registry.idOf(this.subject, given);
      })
      .catch((error: unknown) => {
        if (!isUnknown(error)) throw error;
        throw new EscapementError(
          'SCHEMA_UNKNOWN',
          `the schema of ${this.name} is not registered under subject ${this.subject}: register it before the start`,
          { cause: error, decision: 'stop' },
        );
      });
    this.#verdicts.set(id, { kind: 'readable', reader: this.#reader });
    this.#writeId = id;
  }
}

function isUnknown(error: unknown): boolean {
  return error instanceof EscapementError && error.code === 'SCHEMA_UNKNOWN';
}

function readId(buffer: Buffer, start: number): number {
  return (
    (buffer[start + 1]! << 24) |
    (buffer[start + 2]! << 16) |
    (buffer[start + 3]! << 8) |
    buffer[start + 4]!
  );
}

function frameId(buffer: Buffer, start: number, end: number): number {
  if (end - start < FRAME_BYTES) {
    throw new EscapementError(
      'SERDE_FAILED',
      `${end - start} bytes are too few for Avro: a frame has a zero byte and a schema id of 4 bytes`,
    );
  }
  if (buffer[start] !== 0) {
    throw new EscapementError(
      'SERDE_FAILED',
      `the first byte is ${buffer[start]}, in Confluent's framing it is 0: the value is not framed Avro`,
    );
  }
  const id = readId(buffer, start);
  if (id < 0) throw new EscapementError('SERDE_FAILED', `${id} is no schema id`);
  return id;
}

/**
 * A value that cannot be written: where in it, and of what type it is. avsc would quote the value,
 * and errors are logged while values are not.
 */
function unfit(cause: unknown, writer: AvroType, value: unknown, name: string): EscapementError {
  if (cause instanceof EscapementError) return cause;
  const places: string[] = [];
  try {
    writer.isValid(value, {
      errorHook: (path, found, type) => {
        const place = path.length === 0 ? 'it' : `'${path.join('.')}'`;
        places.push(`${place} is ${kindOf(found)}, the schema has ${type.name ?? type.typeName}`);
      },
    });
  } catch {
    // A value without an end: the stack did not suffice.
  }
  const where = places.length === 0 ? 'it cannot be written' : places.slice(0, 3).join('; ');
  return new EscapementError(
    'SERDE_FAILED',
    `${name}: the value does not fit the schema: ${where}`,
  );
}

/** avsc's own errors and stack overflows are no less the record's. */
function serdeError(cause: unknown, what: string): EscapementError {
  if (cause instanceof EscapementError) return cause;
  const reason = messageOf(cause);
  return new EscapementError('SERDE_FAILED', `${what}: ${reason}`, { cause });
}
