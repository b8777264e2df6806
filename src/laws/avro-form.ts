/**
 * An Avro schema as those see it who make values of it: names resolved, logical types and defaults
 * kept, and for every type how deep a value must be at least.
 */
import { EscapementError } from '../errors.ts';
import { type AvroSchema, normalForm } from '../serde/avro-schema.ts';

export type Form = SimpleForm | ArrayForm | MapForm | RecordForm | EnumForm | FixedForm | UnionForm;

export interface SimpleForm {
  readonly type: 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string';
  readonly logicalType?: string;
  readonly precision?: unknown;
}
export interface ArrayForm {
  readonly type: 'array';
  readonly items: Form;
}
export interface MapForm {
  readonly type: 'map';
  readonly values: Form;
}
export interface FieldForm {
  readonly name: string;
  readonly type: Form;
  readonly default?: unknown;
}
export interface RecordForm {
  readonly type: 'record';
  readonly name: string;
  readonly fields: readonly FieldForm[];
  /** A value of it may hold another one of it. */
  readonly isRecursive: boolean;
}
export interface EnumForm {
  readonly type: 'enum';
  readonly name: string;
  readonly symbols: readonly string[];
}
export interface FixedForm {
  readonly type: 'fixed';
  readonly name: string;
  readonly size: number;
  readonly logicalType?: string;
  readonly precision?: unknown;
}
export interface UnionForm {
  readonly type: 'union';
  readonly branches: readonly Form[];
}

/** Records of a recursive type that any value of the form must open, one in the other. */
export type Heights = (form: Form) => number;

/** A schema that `readerType` has accepted. Records refer to one another, so the result may be cyclic. */
export function formOf(schema: AvroSchema): Form {
  const named = new Map<string, Draft>();
  const root = linked(normalForm(schema, 'meaning'), named);
  for (const form of named.values()) {
    if (form.type === 'record') {
      form.isRecursive = partsOf(form).some((part) => reaches(part, form, new Set()));
    }
  }
  return root;
}

/** A named type whose parts are being linked. */
type Draft = { -readonly [K in keyof RecordForm]: RecordForm[K] } | EnumForm | FixedForm;

function linked(schema: AvroSchema, named: Map<string, Draft>): Form {
  if (typeof schema === 'string') return named.get(schema) ?? ({ type: schema } as SimpleForm);
  if (Array.isArray(schema)) {
    const branches = schema.map((branch: AvroSchema) => linked(branch, named));
    return { type: 'union', branches };
  }
  const given = schema as { readonly type: string; readonly name?: string };
  if (given.type === 'array') {
    return { type: 'array', items: linked((schema as { items: AvroSchema }).items, named) };
  }
  if (given.type === 'map') {
    return { type: 'map', values: linked((schema as { values: AvroSchema }).values, named) };
  }
  // Known before its fields are read, which may name it.
  const form = { ...given } as Draft;
  if (given.name === undefined) return form;
  named.set(given.name, form);
  if (form.type === 'record') {
    form.fields = form.fields.map((field) => {
      const type = field.type as unknown as AvroSchema;
      return { ...field, type: linked(type, named) };
    });
  }
  return form;
}

function reaches(from: Form, target: Form, seen: Set<Form>): boolean {
  if (from === target) return true;
  if (seen.has(from)) return false;
  seen.add(from);
  return partsOf(from).some((part) => reaches(part, target, seen));
}

function partsOf(form: Form): readonly Form[] {
  if (form.type === 'array') return [form.items];
  if (form.type === 'map') return [form.values];
  if (form.type === 'union') return form.branches;
  return form.type === 'record' ? form.fields.map(({ type }) => type) : [];
}

/** Throws `OPTION_INVALID` for a record that every value of it would have to hold, without an end. */
export function heightsOf(root: Form): Heights {
  const records = new Map<RecordForm, number>();
  const collect = (form: Form): void => {
    if (form.type === 'record') {
      if (records.has(form)) return;
      records.set(form, Number.POSITIVE_INFINITY);
    }
    for (const part of partsOf(form)) collect(part);
  };
  collect(root);
  const height: Heights = (form) => {
    if (form.type === 'record') return records.get(form)!;
    return form.type === 'union' ? Math.min(...form.branches.map(height)) : 0;
  };
  for (let moved = true; moved; ) {
    moved = false;
    for (const [form, before] of records) {
      const own = form.isRecursive ? 1 : 0;
      const now = own + Math.max(0, ...form.fields.map(({ type }) => height(type)));
      if (now === before) continue;
      records.set(form, now);
      moved = true;
    }
  }
  for (const [{ name }, found] of records) {
    if (Number.isFinite(found)) continue;
    const text = `A value of record ${name} would have to hold another one, without an end.`;
    throw new EscapementError('OPTION_INVALID', text);
  }
  return height;
}
