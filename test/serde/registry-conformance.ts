/**
 * What every `Registry` keeps, whatever is behind it. Integration tests run it over real servers.
 *
 * Subjects carry a random part, so a server that lives longer than a run does not disturb the next.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { avro } from '../../src/serde/avro.ts';
import type { Registry } from '../../src/serde/registry.ts';

export interface RegistryUnderTest {
  readonly registry: Registry;
  readonly close: () => Promise<void>;
}

export function registryConformance(name: string, make: () => Promise<RegistryUnderTest>): void {
  describe(`the registry ${name}`, () => {
    let under: RegistryUnderTest;
    let registry: Registry;
    const run = randomBytes(4).toString('hex');
    const subject = (part: string): string => `conformance-${run}-${part}/ü-value`;
    /** A text of its own per run: ids are shared between subjects, and a server may be old. */
    const schemaText = (field: string): string =>
      JSON.stringify({
        type: 'record',
        name: `Event${run}`,
        namespace: 'org.example',
        fields: [{ name: field, type: 'long', default: 7, doc: 'kept' }],
      });

    beforeAll(async () => {
      under = await make();
      registry = under.registry;
    });
    afterAll(() => under.close());

    it('gives a registered schema back by its id, word for word', async () => {
      const id = await registry.register(subject('a'), schemaText('a'));
      expect(id).toBeGreaterThan(0);
      expect(JSON.parse(await registry.schemaById(id))).toEqual(JSON.parse(schemaText('a')));
    });

    it('keeps the id of a schema that is registered again', async () => {
      const first = await registry.register(subject('again'), schemaText('again'));
      expect(await registry.register(subject('again'), schemaText('again'))).toBe(first);
      expect(await registry.idOf(subject('again'), schemaText('again'))).toBe(first);
    });

    it('gives one id to one text under two subjects', async () => {
      const first = await registry.register(subject('one'), schemaText('shared'));
      expect(await registry.register(subject('two'), schemaText('shared'))).toBe(first);
    });

    it('gives one id to a schema that many register at once', async () => {
      const ids = await Promise.all(
        Array.from({ length: 8 }, () => registry.register(subject('many'), schemaText('many'))),
      );
      expect(new Set(ids).size).toBe(1);
    });

    it('tells different schemas apart', async () => {
      const first = await registry.register(subject('x'), schemaText('x'));
      expect(await registry.register(subject('y'), schemaText('y'))).not.toBe(first);
    });

    it('says that an id is unknown', async () => {
      await expect(registry.schemaById(2_000_000_123)).rejects.toMatchObject({
        code: 'SCHEMA_UNKNOWN',
      });
    });

    it('says that a subject is unknown', async () => {
      await registry.register(subject('known'), schemaText('known'));
      await expect(registry.idOf(subject('nowhere'), schemaText('known'))).rejects.toMatchObject({
        code: 'SCHEMA_UNKNOWN',
      });
    });

    it('says that a schema is not registered under a subject that exists', async () => {
      await registry.register(subject('some'), schemaText('some'));
      await expect(registry.idOf(subject('some'), schemaText('other'))).rejects.toMatchObject({
        code: 'SCHEMA_UNKNOWN',
      });
    });

    it('refuses a text that is no schema', async () => {
      for (const text of ['{"type":"record","name":"R"}', '{"type":"nonsense"}', '{']) {
        await expect(registry.register(subject('bad'), text)).rejects.toMatchObject({
          code: 'OPTION_INVALID',
        });
      }
    });

    it('carries values from one serde to another', async () => {
      const options = { subject: subject('values'), schema: schemaText('n'), registry };
      await registry.register(options.subject, options.schema);
      const writer = avro<{ n: number }>(options);
      await writer.schemas.start();
      const buffer = Buffer.alloc(64);
      const end = writer.encode({ n: 42 }, buffer, 0);
      const reader = avro<{ n: number }>(options);
      await reader.schemas.prepare([reader.schemas.idOf(buffer, 0, end)]);
      expect(reader.decode(buffer, 0, end)).toEqual({ n: 42 });
    });
  });
}
