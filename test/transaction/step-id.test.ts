/** The step id in the metadata of offsets: ours is read back exactly, and nobody else's is ours. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeMetadata,
  encodeMetadata,
  StepIds,
  TIME_UNKNOWN,
} from '../../src/transaction/step-id.ts';
import { VirtualPorts } from '../broker/ports.ts';

const NOBODY = { stepId: '', partitionTime: TIME_UNKNOWN };

test('what a step writes is read back', () => {
  fc.assert(
    fc.property(fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER }), fc.nat(), (time, seed) => {
      const metadata = {
        stepId: new StepIds(new VirtualPorts(seed).random).next(),
        partitionTime: time,
      };
      expect(decodeMetadata(encodeMetadata(metadata, 4_096))).toEqual(metadata);
    }),
  );
});

test('ids of one session differ, and so do the first ones of two sessions', () => {
  const ids = new StepIds(new VirtualPorts(1).random);
  const others = new StepIds(new VirtualPorts(2).random);
  const seen = new Set([...Array.from({ length: 1_000 }, () => ids.next()), others.next()]);
  expect(seen.size).toBe(1_001);
});

test.each([
  null,
  '',
  'e1',
  'e1;',
  'e1;abc.1',
  'e1;abc.1;',
  'e1;;5',
  'e1;abc;5',
  'e1;abc.1;x',
  'e1;abc.1;-2',
  'e1;abc.1;1.5',
  'e1;abc.1;1e3',
  'e1;abc.1;0x10',
  'e1;abc.1;5;more',
  'e1;abc.1; 5',
  'e2;abc.1;5',
  ' e1;abc.1;5',
  'e1;abc.1;9007199254740992',
  'reset by hand',
  'AgAAAYbM',
])('foreign metadata %j is a step of nobody at no time', (text) => {
  expect(decodeMetadata(text)).toEqual(NOBODY);
});

test('any text is read without an error', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(() => decodeMetadata(text)).not.toThrow();
    }),
  );
});

test('metadata that the broker would refuse is refused here', () => {
  const metadata = { stepId: 'a'.repeat(200), partitionTime: 5 };
  expect(() => encodeMetadata(metadata, 128)).toThrowError(
    expect.objectContaining({ code: 'METADATA_TOO_LARGE', decision: 'stop' }),
  );
});
