/** Arbitraries of fast-check from Avro schemas: values that the serde writes and reads. */
import fc, { type Arbitrary } from 'fast-check';
import { EscapementError } from '../errors.ts';
import type { AvroSerde } from '../serde/avro.ts';
import { type AvroSchema, parseSchema } from '../serde/avro-schema.ts';
import { isNatural, type LongRepresentation, readerType } from '../serde/avro-types.ts';
import {
  type FieldForm,
  type Form,
  formOf,
  type Heights,
  heightsOf,
  type RecordForm,
  type UnionForm,
} from './avro-form.ts';
import { bytesOf, fixedOf, intOf, longOf, stringOf } from './avro-simple.ts';

export interface ArbitraryOptions {
  /** How int64 looks in JavaScript, as in `avro`. Default `number`; of a serde: its own. */
  readonly long?: LongRepresentation;
  /**
   * Arbitraries for fields, by name (`quantity`) or, where several records have one of that name, by
   * record and name (`Usage.quantity`): for what a topology takes and the schema cannot say.
   */
  readonly fields?: Readonly<Record<string, Arbitrary<unknown>>>;
  /** Most items of an array and entries of a map. Default 5. */
  readonly itemsMax?: number;
  /** Most records of a recursive type one in the other. Default 3. */
  readonly depthMax?: number;
}

/**
 * Values of a schema, or of what an `avro` serde writes: all of its types, unions as the serde reads
 * them, numbers to the ends of their ranges, text of all planes, the defaults of fields among the
 * values, and what a logical type says about its bytes (`decimal`, `uuid`, dates and times). They
 * shrink to zero, the empty and the first branch.
 *
 * Throws `OPTION_INVALID` when the schema is not valid, has no finite value, or lacks a field that
 * `fields` names.
 */
export function arbitraryOf<T>(
  schema: string | AvroSchema | AvroSerde<T>,
  options: ArbitraryOptions = {},
): Arbitrary<T> {
  if (isSerde(schema)) {
    const { schemaText, long } = schema;
    return new Maker(parseSchema(schemaText), { long, ...options }).root as Arbitrary<T>;
  }
  const parsed = typeof schema === 'string' ? parseSchema(schema) : schema;
  return new Maker(parsed, options).root as Arbitrary<T>;
}

function isSerde<T>(schema: string | AvroSchema | AvroSerde<T>): schema is AvroSerde<T> {
  return typeof schema === 'object' && 'schemaText' in schema;
}

/** Of what a field can be, the default is one in so many. */
const DEFAULT_ONE_IN = 6;

class Maker {
  readonly root: Arbitrary<unknown>;
  readonly #long: LongRepresentation;
  readonly #itemsMax: number;
  readonly #fields: NonNullable<ArbitraryOptions['fields']>;
  readonly #unused: Set<string>;
  readonly #height: Heights;
  readonly #records = new Map<string, Arbitrary<unknown>>();

  constructor(schema: AvroSchema, options: ArbitraryOptions) {
    this.#long = options.long ?? 'number';
    this.#itemsMax = options.itemsMax ?? 5;
    this.#fields = options.fields ?? {};
    this.#unused = new Set(Object.keys(this.#fields));
    readerType(schema, this.#long);
    const form = formOf(schema);
    this.#height = heightsOf(form);
    this.root = this.#of(form, Math.max(options.depthMax ?? 3, this.#height(form)));
    if (this.#unused.size === 0) return;
    const text = `The schema has no field ${[...this.#unused].join(', ')}.`;
    throw new EscapementError('OPTION_INVALID', text);
  }

  /** `depth`: records of recursive types that may still be opened. */
  #of(form: Form, depth: number): Arbitrary<unknown> {
    switch (form.type) {
      case 'null':
        return fc.constant(null);
      case 'boolean':
        return fc.boolean();
      case 'int':
        return intOf(form);
      case 'long':
        return longOf(form, this.#long);
      case 'float':
        return fc.float();
      case 'double':
        return fc.double();
      case 'bytes':
        return bytesOf(form);
      case 'string':
        return stringOf(form);
      case 'fixed':
        return fixedOf(form);
      case 'enum':
        return fc.constantFrom(...form.symbols);
      case 'array':
        return fc.array(...this.#several(form.items, depth));
      case 'map': {
        const [value, { maxLength }] = this.#several(form.values, depth);
        return fc.dictionary(text(), value, { maxKeys: maxLength, noNullPrototype: true });
      }
      case 'record':
        return this.#record(form, depth);
      case 'union':
        return this.#union(form, depth);
    }
  }

  #several(form: Form, depth: number): [Arbitrary<unknown>, { readonly maxLength: number }] {
    if (this.#height(form) > depth) return [fc.constant(null), { maxLength: 0 }];
    return [this.#of(form, depth), { maxLength: this.#itemsMax }];
  }

  #record(form: RecordForm, depth: number): Arbitrary<unknown> {
    const inside = form.isRecursive ? depth - 1 : depth;
    const id = `${form.name} ${inside}`;
    let found = this.#records.get(id);
    if (found === undefined) {
      const fields = form.fields.map((field) => [field.name, this.#field(form, field, inside)]);
      found = fc.record(Object.fromEntries(fields), { noNullPrototype: true });
      this.#records.set(id, found);
    }
    return found;
  }

  #field(record: RecordForm, field: FieldForm, depth: number): Arbitrary<unknown> {
    const simple = record.name.slice(record.name.lastIndexOf('.') + 1);
    const names = [`${record.name}.${field.name}`, `${simple}.${field.name}`, field.name];
    const given = names.find((name) => Object.hasOwn(this.#fields, name));
    if (given !== undefined) {
      this.#unused.delete(given);
      return this.#fields[given]!;
    }
    const drawn = this.#of(field.type, depth);
    if (!('default' in field)) return drawn;
    const fallback = fc.constant(null).map(() => this.#value(field.type, field.default));
    const weight = DEFAULT_ONE_IN - 1;
    return fc.oneof({ withCrossShrink: true }, { weight, arbitrary: drawn }, fallback);
  }

  #union({ branches }: UnionForm, depth: number): Arbitrary<unknown> {
    const heights = branches.map((branch) => this.#height(branch));
    const least = Math.min(...heights);
    const tags = isNatural(branches.map(({ type }) => type)) ? 'none' : 'branch';
    // In the order of their height, for values shrink to the first branch.
    const open = branches
      .filter((branch) => this.#height(branch) <= Math.max(depth, least))
      .sort((one, other) => this.#height(one) - this.#height(other));
    const all = open.map((branch) => {
      const drawn = this.#of(branch, depth);
      if (tags === 'none' || branch.type === 'null') return drawn;
      return drawn.map((value) => ({ [tagOf(branch)]: value }));
    });
    return fc.oneof({ withCrossShrink: true }, ...all);
  }

  /** A default, which is JSON, as the serde reads it. That of a union is of its first branch. */
  #value(form: Form, json: unknown): unknown {
    switch (form.type) {
      case 'long':
        return this.#long === 'bigint' ? BigInt(json as number) : json;
      case 'bytes':
      case 'fixed':
        return Buffer.from(json as string, 'latin1');
      case 'array':
        return (json as readonly unknown[]).map((item) => this.#value(form.items, item));
      case 'map':
        return mapped(json, (value) => this.#value(form.values, value));
      case 'record': {
        const given = json as Readonly<Record<string, unknown>>;
        const values = form.fields.map((field) => {
          const own = Object.hasOwn(given, field.name) ? given[field.name] : field.default;
          return [field.name, this.#value(field.type, own)];
        });
        return Object.fromEntries(values);
      }
      case 'union': {
        const [first, ...others] = form.branches;
        const value = this.#value(first!, json);
        const isTagged = !isNatural([first!, ...others].map(({ type }) => type));
        return isTagged && first!.type !== 'null' ? { [tagOf(first!)]: value } : value;
      }
      default:
        return json;
    }
  }
}

function text(): Arbitrary<string> {
  return stringOf({ type: 'string' });
}

function tagOf(form: Form): string {
  return 'name' in form ? form.name : form.type;
}

function mapped(json: unknown, change: (value: unknown) => unknown): Record<string, unknown> {
  const entries = Object.entries(json as Readonly<Record<string, unknown>>);
  return Object.fromEntries(entries.map(([key, value]) => [key, change(value)]));
}
