/**
 * Avro schemas as JSON, and the normal form in which writer schemas are parsed.
 *
 * A registry serves schemas that a strict parser refuses: defaults of a later union branch, defaults
 * beyond 2^53, a `-` in a namespace. None of that matters for reading bytes. The normal form keeps
 * what the bytes depend on (shapes, names, symbols, sizes) and drops defaults, aliases, docs, sort
 * orders and logical types. It is also what values are written with: without defaults a missing
 * field is an error, where avsc would fill it in silently.
 */
import { EscapementError } from '../errors.ts';

export type AvroSchema = string | readonly AvroSchema[] | { readonly [attribute: string]: unknown };

const NAMED = new Set(['record', 'error', 'enum', 'fixed']);
const PRIMITIVES = new Set([
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
]);

/** Reads the text of a schema. A bare name (`string`) is accepted like its quoted form. */
export function parseSchema(text: string): AvroSchema {
  const trimmed = text.trim();
  if (PRIMITIVES.has(trimmed)) return trimmed;
  try {
    return JSON.parse(trimmed) as AvroSchema;
  } catch (cause) {
    throw new EscapementError(
      'OPTION_INVALID',
      `a schema is not JSON: ${JSON.stringify(trimmed.slice(0, 80))}`,
      { cause },
    );
  }
}

/** The one spelling in which a schema is sent to a registry: some compare texts, not schemas. */
export function compactSchema(schema: string | AvroSchema): string {
  return JSON.stringify(typeof schema === 'string' ? parseSchema(schema) : schema);
}

/**
 * One schema that stands by itself, from one that uses names defined in others: the first use of
 * such a name becomes its definition. In normal form: it serves to read bytes.
 */
export function joinSchemas(text: string, referenced: readonly string[]): string {
  const definitions = new Map<string, NormalType>();
  for (const each of referenced) {
    visitNamed(normalForm(parseSchema(each)), (type) => definitions.set(type.name!, type));
  }
  return JSON.stringify(withDefinitions(normalForm(parseSchema(text)), definitions, new Set()));
}

/** A node of a normal form that is neither a name nor a union. */
interface NormalType {
  readonly name?: string;
  readonly items?: AvroSchema;
  readonly values?: AvroSchema;
  readonly fields?: readonly { readonly name: string; readonly type: AvroSchema }[];
}

function partsOf({ items, values, fields = [] }: NormalType): readonly AvroSchema[] {
  return [items, values, ...fields.map(({ type }) => type)].filter((part) => part !== undefined);
}

function visitNamed(schema: AvroSchema, visit: (type: NormalType) => void): void {
  if (typeof schema === 'string') return;
  const node = schema as NormalType;
  if (node.name !== undefined) visit(node);
  for (const part of Array.isArray(schema) ? schema : partsOf(node)) visitNamed(part, visit);
}

function withDefinitions(
  schema: AvroSchema,
  definitions: ReadonlyMap<string, NormalType>,
  defined: Set<string>,
): AvroSchema {
  const within = (part: AvroSchema) => withDefinitions(part, definitions, defined);
  if (Array.isArray(schema)) return schema.map(within);
  const found = typeof schema === 'string' ? definitions.get(schema) : (schema as NormalType);
  if (found === undefined) return schema;
  const { name, items, values, fields } = found;
  if (name !== undefined) {
    if (defined.has(name)) return name;
    defined.add(name);
  }
  return {
    ...found,
    ...(items === undefined ? {} : { items: within(items) }),
    ...(values === undefined ? {} : { values: within(values) }),
    ...(fields === undefined
      ? {}
      : { fields: fields.map((field) => ({ ...field, type: within(field.type) })) }),
  };
}

/** `meaning`: logical types and the defaults of fields are kept, for those who make up values. */
type Kept = 'bytes' | 'meaning';

interface Scope {
  readonly namespace: string;
  readonly kept: Kept;
}

/** The schema without everything that its bytes do not depend on, names made valid and full. */
export function normalForm(schema: AvroSchema, kept: Kept = 'bytes'): AvroSchema {
  return normalise(schema, { namespace: '', kept });
}

function normalise(schema: AvroSchema, scope: Scope): AvroSchema {
  if (typeof schema === 'string') {
    return PRIMITIVES.has(schema) ? schema : fullName(schema, scope.namespace);
  }
  if (Array.isArray(schema)) {
    return schema.map((branch: AvroSchema) => normalise(branch, scope));
  }
  const { type, name } = schema as { readonly type: AvroSchema; readonly name?: string };
  if (typeof type !== 'string') {
    if (type === undefined || type === null) {
      throw new EscapementError('OPTION_INVALID', `a schema has no type: ${excerpt(schema)}`);
    }
    return normalise(type, scope);
  }
  if (!NAMED.has(type)) return normaliseContainer(schema, type, scope);
  if (typeof name !== 'string') {
    throw new EscapementError('OPTION_INVALID', `a ${type} has no name: ${excerpt(schema)}`);
  }
  return normaliseNamed(schema, type, name, scope);
}

function normaliseContainer(schema: AvroSchema, type: string, scope: Scope): AvroSchema {
  const { items, values } = schema as { readonly items: AvroSchema; readonly values: AvroSchema };
  if (type === 'array') return { type, items: normalise(items, scope) };
  if (type === 'map') return { type, values: normalise(values, scope) };
  const logical = logicalType(schema, scope);
  return 'logicalType' in logical ? { type, ...logical } : normalise(type, scope);
}

function logicalType(schema: AvroSchema, { kept }: Scope): { readonly logicalType?: string } {
  const { logicalType: name, precision } = schema as { logicalType?: unknown; precision?: unknown };
  if (kept === 'bytes' || typeof name !== 'string') return {};
  return { logicalType: name, ...(precision === undefined ? {} : { precision }) };
}

function normaliseNamed(schema: AvroSchema, type: string, name: string, outer: Scope): AvroSchema {
  const attributes = schema as {
    readonly namespace?: unknown;
    readonly fields?: readonly {
      readonly name: string;
      readonly type: AvroSchema;
      readonly default?: unknown;
    }[];
    readonly symbols?: unknown;
    readonly size?: unknown;
  };
  const own = typeof attributes.namespace === 'string' ? attributes.namespace : outer.namespace;
  const full = fullName(name, own);
  const shape = { type: type === 'error' ? 'record' : type, name: full };
  if (type === 'enum') return { ...shape, symbols: attributes.symbols };
  if (type === 'fixed') {
    return { ...shape, size: attributes.size, ...logicalType(schema, outer) };
  }
  if (!Array.isArray(attributes.fields)) {
    throw new EscapementError('OPTION_INVALID', `record ${full} has no fields`);
  }
  const namespace = full.includes('.') ? full.slice(0, full.lastIndexOf('.')) : '';
  const inner = { ...outer, namespace };
  const fields = attributes.fields.map((field) => ({
    name: field.name,
    type: normalise(field.type, inner),
    ...(outer.kept === 'meaning' && 'default' in field ? { default: field.default } : {}),
  }));
  return { ...shape, fields };
}

/** Java checks the simple name only, so namespaces may hold what avsc refuses. */
function fullName(name: string, namespace: string): string {
  const full = name.includes('.') || namespace === '' ? name : `${namespace}.${name}`;
  return full
    .replace(/^\./, '')
    .split('.')
    .map((part, index, parts) =>
      index === parts.length - 1 ? part : part.replace(/[^A-Za-z0-9_]/g, '_').replace(/^\d/, '_'),
    )
    .join('.');
}

function excerpt(schema: AvroSchema): string {
  return JSON.stringify(schema).slice(0, 120);
}
