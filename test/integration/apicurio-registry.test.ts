import { expect, test } from 'vitest';
import { avro } from '../../src/serde/avro.ts';
import { confluentRegistry } from '../../src/serde/confluent-registry.ts';
import { registryConformance } from '../serde/registry-conformance.ts';
import { describeReal } from './real/parts.ts';
import { sharedApicurio } from './real/shared.ts';

describeReal('a real registry', () => {
  registryConformance('Apicurio', async () => {
    const { url } = await sharedApicurio();
    return { registry: confluentRegistry({ host: url }), close: async () => {} };
  });

  test('registers under a subject that another client made', async () => {
    const { url } = await sharedApicurio();
    const schema = '{"type":"record","name":"Foreign","fields":[{"name":"a","type":"int"}]}';
    const subject = `foreign-${process.pid}`;
    const answer = await fetch(`${url}/subjects/${subject}/versions`, {
      method: 'POST',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({ schema }),
    });
    const { id } = (await answer.json()) as { id: number };
    expect(await confluentRegistry({ host: url }).register(subject, schema)).toBe(id);
  });

  test('hands out a schema with what it refers to', async () => {
    const { url } = await sharedApicurio();
    const run = `${process.pid}${Date.now()}`;
    const register = async (subject: string, body: object): Promise<number> => {
      const answer = await fetch(`${url}/subjects/${subject}/versions`, {
        method: 'POST',
        headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
        body: JSON.stringify(body),
      });
      return ((await answer.json()) as { id: number }).id;
    };
    const color = { type: 'enum', name: 'Color', namespace: `c${run}`, symbols: ['RED', 'BLUE'] };
    const car = { type: 'record', name: 'Car', fields: [{ name: 'of', type: `c${run}.Color` }] };
    await register(`color-${run}`, { schema: JSON.stringify(color) });
    const id = await register(`car-${run}`, {
      schema: JSON.stringify(car),
      references: [{ name: `c${run}.Color`, subject: `color-${run}`, version: 1 }],
    });
    const registry = confluentRegistry({ host: url });
    const schema = { ...car, fields: [{ name: 'of', type: color }] } as never;
    const serde = avro({ subject: 'cars', schema, registry });
    await serde.schemas.prepare([id]);
    const bytes = Buffer.alloc(6);
    bytes.writeInt32BE(id, 1);
    bytes[5] = 2;
    expect(serde.decode(bytes, 0, bytes.length)).toEqual({ of: 'BLUE' });
  });

  test('is not taken for one at a wrong path of its server', async () => {
    const { url } = await sharedApicurio();
    for (const host of [new URL(url).origin, `${url}/nowhere`]) {
      const error = await confluentRegistry({ host })
        .schemaById(1)
        .catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
      expect(String(error)).toContain(host);
    }
  });
});
