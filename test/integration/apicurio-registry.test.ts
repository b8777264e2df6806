import { expect, test } from 'vitest';
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
