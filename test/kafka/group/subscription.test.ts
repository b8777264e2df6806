import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EscapementError } from '../../../src/errors.ts';
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../../src/kafka/group/subscription.ts';

// kafkajs as the second reader of the standard messages.
const { AssignerProtocol }: typeof import('kafkajs') = createRequire(import.meta.url)('kafkajs');

const name = fc.string({ unit: 'grapheme', maxLength: 12 });
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const bytes = fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array));
const partitions = fc
  .uniqueArray(fc.tuple(name, fc.array(int32, { minLength: 1, maxLength: 3 })), {
    maxLength: 4,
    selector: ([topic]) => topic,
  })
  .map((topics) =>
    topics.flatMap(([topic, numbers]) => numbers.map((partition) => ({ topic, partition }))),
  );
const version = fc.constantFrom(0 as const, 1 as const, 2 as const, 3 as const);
const subscription = fc.record({
  topics: fc.array(name, { maxLength: 4 }),
  userData: fc.option(bytes),
  ownedPartitions: partitions,
  generation: int32,
  rackId: fc.option(name),
});

describe('a subscription', () => {
  test('reads as it was written, as far as its version goes', () => {
    fc.assert(
      fc.property(version, subscription, (v, given) => {
        expect(decodeSubscription(encodeSubscription(v, given))).toEqual({
          ...given,
          ownedPartitions: v >= 1 ? given.ownedPartitions : [],
          generation: v >= 2 ? given.generation : -1,
          rackId: v >= 3 ? given.rackId : null,
        });
      }),
    );
  });

  test('of version 0 is what kafkajs reads and writes', () => {
    fc.assert(
      fc.property(subscription, ({ topics, userData, ...rest }) => {
        const theirs = AssignerProtocol.MemberMetadata.encode({
          version: 0,
          topics,
          userData: userData ?? Buffer.alloc(0),
        });
        const ours = encodeSubscription(0, {
          ...rest,
          topics,
          userData: userData ?? Buffer.alloc(0),
        });
        expect(ours).toEqual(theirs);
      }),
    );
  });

  test('of a later version is read as far as it is known', () => {
    const later = encodeSubscription(3, {
      topics: ['a'],
      userData: null,
      ownedPartitions: [{ topic: 'a', partition: 1 }],
      generation: 4,
      rackId: 'r',
    });
    later.writeInt16BE(9, 0);
    const read = decodeSubscription(Buffer.concat([later, Buffer.from([1, 2, 3])]));
    expect([read.generation, read.rackId]).toEqual([4, 'r']);
  });
});

describe('an assignment', () => {
  test('reads as it was written', () => {
    fc.assert(
      fc.property(version, partitions, fc.option(bytes), (v, given, userData) => {
        const read = decodeAssignment(encodeAssignment(v, { partitions: given, userData }));
        expect(read).toEqual({ partitions: given, userData });
      }),
    );
  });

  test('shows kafkajs who owns which partition', () => {
    const encoded = encodeAssignment(1, {
      partitions: [
        { topic: 'orders', partition: 0 },
        { topic: 'orders', partition: 3 },
        { topic: 'rates', partition: 0 },
      ],
      userData: Buffer.from([1, 1, 2]),
    });
    const { assignment } = AssignerProtocol.MemberAssignment.decode(encoded)!;
    expect(assignment).toEqual({ orders: [0, 3], rates: [0] });
  });

  test('of no bytes is empty', () => {
    expect(decodeAssignment(Buffer.alloc(0))).toEqual({ partitions: [], userData: null });
  });
});

test('foreign bytes are refused, never read for ever or without bound', () => {
  fc.assert(
    fc.property(bytes, (foreign) => {
      for (const read of [decodeSubscription, decodeAssignment]) {
        try {
          read(foreign);
        } catch (cause) {
          expect(cause).toBeInstanceOf(EscapementError);
          expect(cause).toMatchObject({ code: 'PROTOCOL_MALFORMED' });
        }
      }
    }),
  );
  const endless = Buffer.from([0, 1, 0x7f, 0xff, 0xff, 0xff]);
  expect(() => decodeSubscription(endless)).toThrow('an array of 2147483647');
});
