/** State written with a schema that cannot be used: no record is to blame, and the task never runs. */
import { expect, test } from 'vitest';
import { type Decision, EscapementError } from '../../src/errors.ts';
import { avro, memoryRegistry } from '../../src/index.ts';
import { murmur2 } from '../../src/kafka/records/murmur2.ts';
import { prepareSchemas } from '../../src/runtime/assignment.ts';
import { KeyValueStore } from '../../src/state/key-value-store.ts';

const CHANGELOG = { topic: 'app-counts-changelog', partition: 3 };

/** Restored state with one value of schema id 2, of which the registry says no. */
function preparing(code: 'SCHEMA_INCOMPATIBLE' | 'REGISTRY_UNAVAILABLE', decision: Decision) {
  const refusal = new EscapementError(code, 'no use', { decision });
  const registry = { ...memoryRegistry(), schemaById: () => Promise.reject(refusal) };
  const store = new KeyValueStore();
  const [key, value] = [Buffer.from('k'), Buffer.from('00000000020261', 'hex')];
  const hash = murmur2(key, 0, key.length);
  store.restorePut(key, 0, key.length, hash, value, 0, value.length, 1);
  const serde = avro<string>({ subject: 's', schema: '"string"', registry });
  return prepareSchemas(store, serde, CHANGELOG);
}

test('state of a schema that cannot be used stops the instance, with its changelog', async () => {
  await expect(preparing('SCHEMA_INCOMPATIBLE', 'record')).rejects.toMatchObject({
    code: 'SCHEMA_INCOMPATIBLE',
    decision: 'stop',
    at: CHANGELOG,
    message: expect.stringContaining('schema 2'),
  });
});

test('state is waited for while the registry is away', async () => {
  await expect(preparing('REGISTRY_UNAVAILABLE', 'retry')).rejects.toMatchObject({
    code: 'REGISTRY_UNAVAILABLE',
    decision: 'retry',
  });
});
