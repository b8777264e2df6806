/**
 * The schemas that a registry's answers have brought, each with what it refers to.
 *
 * Filled by `confluentRegistry` as answers pass. A reference names a subject and a version; the
 * client asks for those by itself before it parses a schema.
 *
 * I1. A text that is handed out stands by itself: it is a reader of bytes, so how it was put
 *     together makes no difference.
 */
import { EscapementError } from '../errors.ts';
import { joinSchemas } from './avro-schema.ts';

/** The part of an answer that holds a schema. */
export interface PassedSchema {
  readonly schema: string;
  /** Absent: Avro. */
  readonly schemaType?: string;
  readonly references?: readonly SchemaVersion[];
}

export interface SchemaVersion {
  readonly subject: string;
  readonly version: number;
}

export class PassedSchemas {
  readonly #byKey = new Map<string, PassedSchema>();

  keepId(id: number, schema: PassedSchema): void {
    this.#byKey.set(String(id), schema);
  }

  keepVersion(version: SchemaVersion, schema: PassedSchema): void {
    this.#byKey.set(versionKey(version), schema);
  }

  /** True when the schema has come, and all that it refers to. */
  has(id: number): boolean {
    return [...this.#withReferences(id)].every((key) => this.#byKey.has(key));
  }

  /** The whole schema of an id that `has` is true for; `SCHEMA_INCOMPATIBLE` for its records. */
  textOf(id: number): string {
    const [own, ...references] = [...this.#withReferences(id)].map((key) => this.#byKey.get(key)!);
    const { schema, schemaType = 'AVRO' } = own!;
    if (schemaType !== 'AVRO') throw unusable(id, `it is of the type ${schemaType}, not Avro`);
    if (references.length === 0) return schema;
    try {
      return joinSchemas(
        schema,
        references.map((each) => each.schema),
      );
    } catch (cause) {
      throw unusable(id, `with what it refers to it is no Avro schema: ${String(cause)}`, cause);
    }
  }

  /** The key of the id and those of everything that it refers to, each once. */
  #withReferences(id: number): ReadonlySet<string> {
    const keys = new Set([String(id)]);
    // A set that grows is walked to its new end.
    for (const key of keys) {
      for (const reference of this.#byKey.get(key)?.references ?? []) {
        keys.add(versionKey(reference));
      }
    }
    return keys;
  }
}

/** The record's matter: it names a schema that cannot be had, and asking again brings no other. */
export function unusable(id: number, reason: string, cause?: unknown): EscapementError {
  return new EscapementError('SCHEMA_INCOMPATIBLE', `schema id ${id} cannot be used: ${reason}`, {
    decision: 'record',
    ...(cause === undefined ? {} : { cause }),
  });
}

function versionKey({ subject, version }: SchemaVersion): string {
  return `${subject}\n${version}`;
}
