import { refuseUnknown } from '../config/known-options.ts';
import { EscapementError } from '../errors.ts';
import { compactSchema, parseSchema } from './avro-schema.ts';
import { readerType } from './avro-types.ts';
import type { Registry } from './registry.ts';

/** A registry in this process, for tests, the embedded broker and the first five minutes. */
export interface MemoryRegistry extends Registry {
  /** Subjects in order of their first registration. */
  subjects(): readonly string[];
}

/**
 * Ids are global, as Confluent's: one text has one id under every subject. Texts are compared
 * without white space. Earlier versions are not checked for compatibility.
 */
export function memoryRegistry(...none: readonly never[]): MemoryRegistry {
  refuseUnknown('memoryRegistry', none[0], {});
  const texts = new Map<number, string>();
  const ids = new Map<string, number>();
  const subjects = new Map<string, Set<number>>();

  return {
    subjects: () => [...subjects.keys()],

    async schemaById(id) {
      const text = texts.get(id);
      if (text === undefined) {
        throw new EscapementError('SCHEMA_UNKNOWN', `the registry does not know schema id ${id}`);
      }
      return text;
    },

    async idOf(subject, schema) {
      const id = ids.get(compactSchema(schema));
      if (id === undefined || subjects.get(subject)?.has(id) !== true) {
        throw new EscapementError(
          'SCHEMA_UNKNOWN',
          `the registry does not know the schema under subject ${subject}`,
        );
      }
      return id;
    },

    async register(subject, schema) {
      readerType(parseSchema(schema), 'bigint');
      const text = compactSchema(schema);
      const id = ids.get(text) ?? ids.size + 1;
      ids.set(text, id);
      texts.set(id, text);
      const versions = subjects.get(subject) ?? new Set();
      subjects.set(subject, versions.add(id));
      return id;
    },
  };
}
