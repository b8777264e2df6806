import { describe, expect, test } from 'vitest';
import {
  type Applicant,
  admit,
  canRun,
  profileHash,
  profileOf,
  type TaskPlan,
  tasksOf,
  topicHash,
} from '../../../src/kafka/group/profile.ts';

const REST = { host: null, fingerprint: 'f', schemas: new Map<string, number>() };

/** One sub-topology with inputs and changelogs. */
function plans(
  name: string,
  partitions: number,
  inputs: string[],
  changelogs: string[],
): TaskPlan[] {
  const at = (partition: number) => (topic: string) => ({ topic, partition });
  return Array.from({ length: partitions }, (_, i) => ({
    id: `${name}_${i}`,
    inputs: inputs.map(at(i)),
    changelogs: changelogs.map(at(i)),
  }));
}

function applicant(memberId: string, given: readonly TaskPlan[], generation = -1): Applicant {
  const claims = generation < 0 ? [] : [{ task: given[0]!.id, generation, since: generation }];
  return { memberId, data: { profile: profileOf(given, REST), claims } };
}

const nameOf = (hash: string) =>
  ['orders', 'app-counts-changelog'].find((topic) => topicHash(topic) === hash);
const OLD = plans('orders', 2, ['orders'], ['app-counts-changelog']);

describe('a profile', () => {
  test('tells the tasks of a topology and who can run them', () => {
    const own = profileOf([...OLD, ...plans('rates', 1, ['rates'], [])], REST);
    expect(tasksOf([own]).sort()).toEqual(['orders_0', 'orders_1', 'rates_0']);
    expect(['orders_1', 'orders_2', 'rates_0', 'agg_0'].map(canRun(own))).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  test('has a hash that host, schemas, fingerprint and topics change, and order does not', () => {
    const hash = profileHash(profileOf(OLD, REST));
    expect(profileHash(profileOf([...OLD].reverse(), REST))).toBe(hash);
    for (const other of [
      profileOf(OLD, { ...REST, host: 'a:1' }),
      profileOf(OLD, { ...REST, fingerprint: 'g' }),
      profileOf(OLD, { ...REST, schemas: new Map([['s', 1]]) }),
      profileOf(plans('orders', 2, ['orders'], []), REST),
    ]) {
      expect(profileHash(other)).not.toBe(hash);
    }
  });
});

describe('a member of another topology', () => {
  const admitted = (applicants: Applicant[]) =>
    admit(applicants, nameOf).admitted.map(({ memberId }) => memberId);

  test('lives beside the others while no topic moves to another sub-topology', () => {
    const more = [...plans('orders', 2, ['orders', 'extra'], ['app-counts-changelog'])];
    more.push(...plans('rates', 4, ['rates'], ['app-rates-changelog']));
    expect(admitted([applicant('a', OLD, 3), applicant('b', more)])).toEqual(['a', 'b']);
  });

  test.each([
    [
      'a changelog',
      plans('renamed', 2, ['other'], ['app-counts-changelog']),
      'app-counts-changelog',
    ],
    ['an input', plans('renamed', 2, ['orders'], []), 'orders'],
  ])('that moves %s is refused while the old one lives', (_, moved, topic) => {
    const { admitted: in_, refused } = admit(
      [applicant('a', moved), applicant('b', OLD, 3)],
      nameOf,
    );
    expect(in_.map(({ memberId }) => memberId)).toEqual(['b']);
    expect([...refused]).toEqual([
      ['a', `${topic} belongs to sub-topology orders there and to renamed here`],
    ]);
    // Alone it may run.
    expect(admitted([applicant('a', moved)])).toEqual(['a']);
  });

  test.each([
    ['adds', plans('orders', 2, ['orders'], ['app-counts-changelog', 'app-new-changelog']), 'here'],
    ['drops', plans('orders', 2, ['orders'], []), 'there'],
  ])('that %s a state of a sub-topology is refused while the old one lives', (_, other, where) => {
    const { refused } = admit([applicant('a', other), applicant('b', OLD, 3)], nameOf);
    const reason = refused.get('a')!;
    expect(reason).toMatch(/^sub-topology orders has .* and not /);
    expect(reason.split(' and not ')[0]!.endsWith(where)).toBe(true);
  });

  test('is refused by age of its claims, not by the order of members', () => {
    const moved = plans('renamed', 2, ['orders'], []);
    const [old, young] = [applicant('x', OLD, 9), applicant('b', moved, 3)];
    expect(admitted([old, young])).toEqual(['x']);
    expect(admitted([young, old])).toEqual(['x']);
    expect(admitted([applicant('x', OLD), applicant('b', moved)])).toEqual(['b']);
  });

  test('that claims to have a billion tasks is refused', () => {
    const greedy = profileOf(OLD, REST);
    const part = { ...greedy.subTopologies[0]!, partitions: 1_000_000_000 };
    const data = { profile: { ...greedy, subTopologies: [part] }, claims: [] };
    const { refused } = admit([applicant('a', OLD), { memberId: 'b', data }], nameOf);
    expect([...refused.keys()]).toEqual(['b']);
  });

  test('that cannot be read is refused with the reason, and the others are not', () => {
    const { admitted: in_, refused } = admit(
      [applicant('a', OLD), { memberId: 'b', data: 'garbage' }],
      nameOf,
    );
    expect([in_.length, [...refused]]).toEqual([1, [['b', 'garbage']]]);
  });
});
