import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EscapementError } from '../../../src/errors.ts';
import {
  type AssignmentData,
  decodeAssignmentData,
  decodeMemberData,
  encodeAssignmentData,
  encodeMemberData,
  type MemberData,
  USER_DATA_BYTES_MAX,
} from '../../../src/kafka/group/member-words.ts';

const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).map((text) => `${text}s`);
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const task = fc.tuple(name, fc.nat(10_000)).map(([sub, partition]) => `${sub}_${partition}`);
const hash = fc
  .uint8Array({ minLength: 8, maxLength: 8 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const profile = fc.record({
  host: fc.option(name),
  fingerprint: name,
  subTopologies: fc.uniqueArray(
    fc.record({
      name,
      partitions: fc.nat(50),
      inputs: fc.array(hash, { maxLength: 4 }),
      changelogs: fc.array(hash, { maxLength: 4 }),
    }),
    { maxLength: 4, selector: (part) => part.name },
  ),
  schemas: fc.array(fc.tuple(name, fc.nat())).map((rows) => new Map(rows)),
});
const memberData: fc.Arbitrary<MemberData> = fc.record({
  profile,
  claims: fc.uniqueArray(fc.record({ task, generation: int32, since: int32 }), {
    maxLength: 8,
    selector: (claim) => claim.task,
  }),
});
const tasks = fc.uniqueArray(task, { maxLength: 8 });
const assignmentData: fc.Arbitrary<AssignmentData> = fc.record({
  tasks,
  revoked: fc.nat(9),
  profile: hash,
  refusal: fc.option(name),
  hosts: fc.array(fc.record({ host: name, tasks }), { maxLength: 3 }),
});

/** Order takes no part. */
function sortedMember({ profile: given, claims }: MemberData) {
  const parts = given.subTopologies.map((part) => ({
    ...part,
    inputs: [...part.inputs].sort(),
    changelogs: [...part.changelogs].sort(),
  }));
  return {
    ...given,
    subTopologies: parts.sort((a, b) => (a.name < b.name ? -1 : 1)),
    schemas: [...given.schemas].sort(),
    claims: [...claims].sort((a, b) => (a.task < b.task ? -1 : 1)),
  };
}

function sortedAssignment({ hosts, tasks: given, ...rest }: AssignmentData) {
  const rows = hosts.map((each) => ({ host: each.host, tasks: [...each.tasks].sort() }));
  return { ...rest, tasks: [...given].sort(), hosts: rows };
}

describe('user data', () => {
  test('of a member reads as it was written', () => {
    fc.assert(
      fc.property(memberData, (given) => {
        expect(sortedMember(decodeMemberData(encodeMemberData(given)))).toEqual(
          sortedMember(given),
        );
      }),
    );
  });

  test('of an assignment reads as it was written', () => {
    fc.assert(
      fc.property(assignmentData, (given) => {
        expect(sortedAssignment(decodeAssignmentData(encodeAssignmentData(given)))).toEqual(
          sortedAssignment(given),
        );
      }),
    );
  });

  test('of a later version is read as far as it is known', () => {
    fc.assert(
      fc.property(memberData, fc.uint8Array({ maxLength: 30 }), (given, added) => {
        const later = Buffer.concat([encodeMemberData(given), added]);
        later.writeInt8(7, 0);
        expect(sortedMember(decodeMemberData(later))).toEqual(sortedMember(given));
      }),
    );
  });

  test('that only later versions can read is refused by its version', () => {
    const empty = { host: null, fingerprint: '', subTopologies: [], schemas: new Map() };
    const later = encodeMemberData({ profile: empty, claims: [] });
    later.writeInt8(7, 0);
    later.writeInt8(6, 1);
    expect(() => decodeMemberData(later)).toThrow(/version 7, for readers of version 6/);
  });

  test('of foreign bytes is refused with a typed error, never read without bound', () => {
    const foreign = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array));
    const versioned = foreign.map((bytes) => Buffer.concat([Buffer.from([1, 1]), bytes]));
    fc.assert(
      fc.property(fc.oneof(foreign, versioned, fc.constant(null)), (bytes) => {
        for (const read of [decodeMemberData, decodeAssignmentData]) {
          try {
            read(bytes);
          } catch (cause) {
            expect(cause).toBeInstanceOf(EscapementError);
            expect(cause).toMatchObject({ code: 'PROTOCOL_MALFORMED' });
          }
        }
      }),
      { numRuns: 1_000 },
    );
    const large = Buffer.alloc(USER_DATA_BYTES_MAX + 1, 1);
    expect(() => decodeMemberData(large)).toThrow(`${large.length} bytes`);
  });

  test('of a thousand tasks fits, and what does not fit is an error that says so', () => {
    const claims = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ task: `orders_${i}`, generation: 7, since: 3 }));
    const own = { host: 'a:1', fingerprint: 'f', subTopologies: [], schemas: new Map() };
    expect(encodeMemberData({ profile: own, claims: claims(1_000) }).length).toBeLessThan(13_000);
    expect(() => encodeMemberData({ profile: own, claims: claims(6_000) })).toThrow(
      expect.objectContaining({ code: 'GROUP_METADATA_TOO_LARGE' }),
    );
  });

  test('of an assignment leaves the hosts out when they do not fit', () => {
    const many = Array.from({ length: 1_000 }, (_, i) => `orders_${i}`);
    const hosts = Array.from({ length: 20 }, (_, i) => ({ host: `h${i}:1`, tasks: many }));
    const given = { tasks: many, revoked: 0, profile: '00'.repeat(8), refusal: null, hosts };
    const read = decodeAssignmentData(encodeAssignmentData(given));
    expect([read.tasks.length, read.hosts]).toEqual([1_000, []]);
  });
});
