/** Classic consumer groups: joining, generations, rebalances, static members. */
import { expect } from 'vitest';
import { describeGroups } from '../../../src/kafka/protocol/describe-groups.ts';
import { leaveGroup } from '../../../src/kafka/protocol/leave-group.ts';
import { fact } from '../case.ts';
import { nameOf } from '../client.ts';
import { type JoinOptions, join, type Member, userDataOf } from '../member.ts';
import { pause, type Stage, until } from '../stage.ts';

const BEAT_MS = 400;

async function stateOf(stage: Stage, groupId: string): Promise<string> {
  const answer = await stage.client.ask(describeGroups, 5, { groups: [groupId] });
  return answer.groups[0]!.groupState;
}

/**
 * A group with an offset: Kafka 3.9 forgets one that has no members and no offsets, and whom it
 * expects, whenever some topic is deleted.
 */
async function keptGroup(stage: Stage): Promise<string> {
  const groupId = stage.name('group');
  const topic = await stage.topic();
  expect(await stage.client.commitOffset(groupId, { topic, offset: 1 })).toBe('NONE');
  return groupId;
}

/**
 * The only member of a stable generation, with timeouts as short as it can have: where a standstill
 * between its requests costs it its place, the next one gets four times as much.
 */
async function settledWithin(stage: Stage, optionsOf: (ms: number) => JoinOptions) {
  for (let ms = 1_000; ; ms *= 4) {
    const member = await stage.member(await keptGroup(stage), optionsOf(ms));
    expect((await member.join()).error).toBe('NONE');
    const { error } = await member.sync({ [member.memberId]: 'mine' });
    if (error === 'NONE') return { member, groupId: member.groupId, options: optionsOf(ms) };
    expect(error).toBe('UNKNOWN_MEMBER_ID');
  }
}

/** Lets a member live on heartbeats alone for longer than its session. */
async function liveBeyond(
  stage: Stage,
  sessionTimeoutMs: number,
): Promise<'lived' | 'stood still'> {
  const member = await stage.member(stage.name('group'), { sessionTimeoutMs });
  let asked = performance.now();
  expect((await member.join()).error).toBe('NONE');
  const requests = [async () => (await member.sync({})).error];
  while (requests.length * BEAT_MS < 1.2 * sessionTimeoutMs)
    requests.push(() => member.heartbeat());
  for (const request of requests) {
    const before = asked;
    asked = performance.now();
    const error = await request();
    // What came later than the session tells nothing.
    if (performance.now() - before >= sessionTimeoutMs) return 'stood still';
    expect(error).toBe('NONE');
    await pause(BEAT_MS);
  }
  return 'lived';
}

/** Two members in one stable generation, the first of them its leader. */
async function pair(
  stage: Stage,
  options: { instances?: readonly [string, string]; groupId?: string } = {},
) {
  const groupId = options.groupId ?? stage.name('group');
  const member = (index: 0 | 1) => {
    const instanceId = options.instances?.[index] ?? null;
    return stage.member(groupId, { instanceId, protocols: [`range=m${index}`] });
  };
  const [one, two] = [await member(0), await member(1)];
  await one.settle();
  const joining = two.join();
  await rebalancing(one);
  await Promise.all([one.join(), joining]);
  const assignments = { [one.memberId]: 'first', [two.memberId]: 'second' };
  const [mine, theirs] = await Promise.all([one.sync(assignments), two.sync()]);
  expect([mine.assignment, theirs.assignment]).toEqual(['first', 'second']);
  return { groupId, one, two };
}

function rebalancing(member: Member): Promise<string> {
  return until(
    () => member.heartbeat(),
    (error) => error === 'REBALANCE_IN_PROGRESS',
  );
}

const JOINING = [
  fact('a newcomer is asked to come again with the id it is given', async (stage) => {
    const groupId = await keptGroup(stage);
    const first = await join(stage.client, groupId, { version: 5 });
    expect([first.error, first.generationId]).toEqual(['MEMBER_ID_REQUIRED', -1]);
    expect(first.memberId).toMatch(/^conformance-/);
    const second = await join(stage.client, groupId, { memberId: first.memberId });
    expect([second.error, second.generationId]).toEqual(['NONE', 1]);
  }),
  fact('a newcomer with JoinGroup 3 is let in at once', async (stage) => {
    const joined = await join(stage.client, stage.name('group'), { version: 3 });
    expect([joined.error, joined.generationId]).toEqual(['NONE', 1]);
  }),
  fact('the first member leads and gets the metadata of all', async (stage) => {
    const member = await stage.member(stage.name('group'), { protocols: ['range=mine'] });
    const joined = await member.join();
    expect(joined.leader).toBe(joined.memberId);
    expect([...joined.members]).toEqual([[joined.memberId, 'mine']]);
    expect(joined.protocolName).toBe('range');
  }),
  fact('a follower gets no metadata, and the leader that of both', async (stage) => {
    const groupId = stage.name('group');
    const one = await stage.member(groupId, { protocols: ['range=m1'] });
    await one.settle();
    const two = await stage.member(groupId, { protocols: ['range=m2'] });
    const joining = two.join();
    await rebalancing(one);
    const [first, second] = await Promise.all([one.join(), joining]);
    expect([first.generationId, second.generationId]).toEqual([2, 2]);
    expect(second.members.size).toBe(0);
    expect([...first.members.values()].sort()).toEqual(['m1', 'm2']);
  }),
  fact('an empty group id is INVALID_GROUP_ID', async (stage) => {
    expect((await join(stage.client, '')).error).toBe('INVALID_GROUP_ID');
  }),
  fact('a session timeout out of bounds is INVALID_SESSION_TIMEOUT', async (stage) => {
    const ask = async (sessionTimeoutMs: number) =>
      (await join(stage.client, stage.name('group'), { sessionTimeoutMs })).error;
    expect(await ask(999)).toBe('INVALID_SESSION_TIMEOUT');
    expect(await ask(1_800_001)).toBe('INVALID_SESSION_TIMEOUT');
    expect(await ask(1_000)).toBe('MEMBER_ID_REQUIRED');
  }),
  fact('a member id that the coordinator did not give is UNKNOWN_MEMBER_ID', async (stage) => {
    const groupId = stage.name('group');
    expect((await join(stage.client, groupId, { memberId: 'me' })).error).toBe('UNKNOWN_MEMBER_ID');
    await (await stage.member(groupId)).settle();
    expect((await join(stage.client, groupId, { memberId: 'me' })).error).toBe('UNKNOWN_MEMBER_ID');
  }),
  fact('another protocol type is INCONSISTENT_GROUP_PROTOCOL', async (stage) => {
    const groupId = stage.name('group');
    await (await stage.member(groupId)).settle();
    const joined = await join(stage.client, groupId, { protocolType: 'connect' });
    expect(joined.error).toBe('INCONSISTENT_GROUP_PROTOCOL');
  }),
  fact('protocols without a common one are INCONSISTENT_GROUP_PROTOCOL', async (stage) => {
    const groupId = stage.name('group');
    await (await stage.member(groupId)).settle();
    const joined = await join(stage.client, groupId, { protocols: ['sticky=m'] });
    expect(joined.error).toBe('INCONSISTENT_GROUP_PROTOCOL');
  }),
  fact('no protocols at all are INCONSISTENT_GROUP_PROTOCOL', async (stage) => {
    const joined = await join(stage.client, stage.name('group'), { protocols: [] });
    expect(joined.error).toBe('INCONSISTENT_GROUP_PROTOCOL');
  }),
  fact('the protocol that all speak is chosen', async (stage) => {
    const groupId = stage.name('group');
    const one = await stage.member(groupId, { protocols: ['range=m', 'sticky=m'] });
    await one.settle();
    const two = await stage.member(groupId, { protocols: ['sticky=m', 'other=m'] });
    const joining = two.join();
    await rebalancing(one);
    const [first, second] = await Promise.all([one.join(), joining]);
    expect([first.protocolName, second.protocolName]).toEqual(['sticky', 'sticky']);
  }),
];

const SYNCING = [
  fact('a follower waits for the assignment that the leader gives', async (stage) => {
    const { one, two } = await pair(stage);
    expect((await two.sync()).assignment).toBe('second');
    expect((await one.sync()).assignment).toBe('first');
  }),
  fact('SyncGroup of a wrong generation is ILLEGAL_GENERATION', async (stage) => {
    const member = await stage.member(stage.name('group'));
    await member.settle();
    const { error } = await member.sync({}, { generationId: member.generationId + 1 });
    expect(error).toBe('ILLEGAL_GENERATION');
  }),
  fact('SyncGroup of a stranger is UNKNOWN_MEMBER_ID', async (stage) => {
    const groupId = stage.name('group');
    await (await stage.member(groupId)).settle();
    const stranger = await stage.member(groupId);
    stranger.memberId = 'stranger';
    stranger.generationId = 1;
    expect((await stranger.sync()).error).toBe('UNKNOWN_MEMBER_ID');
  }),
  fact(
    'SyncGroup amid the joins of the next generation is REBALANCE_IN_PROGRESS',
    async (stage) => {
      const { groupId, one, two } = await pair(stage);
      void (await stage.member(groupId)).join().catch(() => {});
      await rebalancing(one);
      expect((await two.sync()).error).toBe('REBALANCE_IN_PROGRESS');
    },
  ),
  fact(
    'a follower that waits for its assignment is told REBALANCE_IN_PROGRESS when another joins',
    async (stage) => {
      const groupId = stage.name('group');
      const one = await stage.member(groupId);
      await one.settle();
      const two = await stage.member(groupId);
      const joining = two.join();
      await rebalancing(one);
      await Promise.all([one.join(), joining]);
      const waiting = two.sync();
      void (await stage.member(groupId)).join().catch(() => {});
      expect((await waiting).error).toBe('REBALANCE_IN_PROGRESS');
    },
  ),
  fact('a member left out of the assignment gets an empty one', async (stage) => {
    const member = await stage.member(stage.name('group'));
    await member.join();
    expect(await member.sync({})).toEqual({ error: 'NONE', assignment: '' });
  }),
];

const LIVING = [
  fact('a heartbeat in a stable generation is answered NONE', async (stage) => {
    const { one, two } = await pair(stage);
    expect([await one.heartbeat(), await two.heartbeat()]).toEqual(['NONE', 'NONE']);
  }),
  fact('a heartbeat of a wrong generation is ILLEGAL_GENERATION', async (stage) => {
    const { one } = await pair(stage);
    expect(await one.heartbeat(one.generationId - 1)).toBe('ILLEGAL_GENERATION');
    expect(await one.heartbeat(one.generationId + 1)).toBe('ILLEGAL_GENERATION');
  }),
  fact('a heartbeat of a stranger is UNKNOWN_MEMBER_ID', async (stage) => {
    const { one } = await pair(stage);
    one.memberId = 'stranger';
    expect(await one.heartbeat()).toBe('UNKNOWN_MEMBER_ID');
  }),
  fact('a heartbeat to a group that does not exist is UNKNOWN_MEMBER_ID', async (stage) => {
    const member = await stage.member(stage.name('group'));
    member.memberId = 'm';
    member.generationId = 1;
    expect(await member.heartbeat()).toBe('UNKNOWN_MEMBER_ID');
  }),
  fact(
    'a heartbeat while the generation waits for its assignment is answered NONE',
    async (stage) => {
      const member = await stage.member(stage.name('group'));
      await member.join();
      expect(await member.heartbeat()).toBe('NONE');
    },
  ),
  fact('a member that leaves makes the others join again', async (stage) => {
    const { one, two } = await pair(stage);
    expect(await two.leave()).toBe('NONE');
    expect(await one.heartbeat()).toBe('REBALANCE_IN_PROGRESS');
    const joined = await one.join();
    expect([joined.generationId, joined.members.size]).toEqual([3, 1]);
    expect(await two.heartbeat()).toBe('UNKNOWN_MEMBER_ID');
  }),
  fact('leaving twice is UNKNOWN_MEMBER_ID', async (stage) => {
    const { two } = await pair(stage);
    await two.leave();
    expect(await two.leave()).toBe('UNKNOWN_MEMBER_ID');
  }),
  fact('when the leader leaves, another member leads the next generation', async (stage) => {
    const { one, two } = await pair(stage);
    await one.leave();
    const joined = await two.join();
    expect(joined.leader).toBe(two.memberId);
    expect([...joined.members.keys()]).toEqual([two.memberId]);
  }),
  fact('LeaveGroup takes several members, each with an answer', async (stage) => {
    const { groupId, one, two } = await pair(stage, { groupId: await keptGroup(stage) });
    const members = [one.memberId, 'stranger', two.memberId].map((memberId) => ({ memberId }));
    const answer = await stage.client.ask(leaveGroup, 4, { groupId, members });
    expect(answer.members.map(({ errorCode }) => nameOf(errorCode))).toEqual([
      'NONE',
      'UNKNOWN_MEMBER_ID',
      'NONE',
    ]);
    expect(await stateOf(stage, groupId)).toBe('Empty');
  }),
  fact('a member that is silent for its session is out', async (stage) => {
    const { member, groupId } = await settledWithin(stage, (sessionTimeoutMs) => ({
      sessionTimeoutMs,
    }));
    await until(
      () => stateOf(stage, groupId),
      (state) => state === 'Empty',
    );
    expect(await member.heartbeat()).toBe('UNKNOWN_MEMBER_ID');
  }),
  fact('heartbeats keep a member beyond its session', async (stage) => {
    let sessionTimeoutMs = 4_000;
    while ((await liveBeyond(stage, sessionTimeoutMs)) !== 'lived') sessionTimeoutMs *= 2;
  }),
  fact('a member that does not join again within the rebalance timeout is out', async (stage) => {
    const short = (rebalanceTimeoutMs: number) => ({ rebalanceTimeoutMs });
    const { member: one, groupId, options } = await settledWithin(stage, short);
    const two = await stage.member(groupId, options);
    const joined = await two.join();
    expect([...joined.members.keys()]).toEqual([two.memberId]);
    expect(await one.heartbeat()).toBe('UNKNOWN_MEMBER_ID');
  }),
  fact(
    'a member that takes a generation and never asks for its assignment is out',
    async (stage) => {
      const groupId = await keptGroup(stage);
      const member = await stage.member(groupId, { rebalanceTimeoutMs: 1_000 });
      await member.join();
      await until(
        () => stateOf(stage, groupId),
        (state) => state === 'Empty',
      );
    },
  ),
  fact(
    'a newcomer that never comes again with its id holds the rebalance up for its session only',
    async (stage) => {
      const groupId = stage.name('group');
      await join(stage.client, groupId, { sessionTimeoutMs: 1_000 });
      const member = await stage.member(groupId);
      const joined = await member.join();
      expect([joined.error, joined.members.size]).toEqual(['NONE', 1]);
    },
  ),
];

const REJOINING = [
  fact('the leader of a stable generation that joins again starts a rebalance', async (stage) => {
    const { one, two } = await pair(stage);
    const joining = one.join();
    await rebalancing(two);
    await two.join();
    expect((await joining).generationId).toBe(3);
  }),
  fact('a follower that joins again with the same metadata keeps the generation', async (stage) => {
    const { one, two } = await pair(stage);
    const joined = await two.join();
    expect([joined.error, joined.generationId, joined.members.size]).toEqual(['NONE', 2, 0]);
    expect(await one.heartbeat()).toBe('NONE');
  }),
  fact('a follower that joins again with other metadata starts a rebalance', async (stage) => {
    const { one, two } = await pair(stage);
    const joining = two.join({ protocols: ['range=changed'] });
    await rebalancing(one);
    const first = await one.join();
    expect((await joining).generationId).toBe(3);
    expect([...first.members.values()].sort()).toEqual(['changed', 'm0']);
  }),
  fact('a cooperative member keeps its place through two rebalances in a row', async (stage) => {
    const { one, two } = await pair(stage);
    for (const generation of [3, 4]) {
      const joining = two.join({ protocols: [`range=owned${generation}`] });
      await rebalancing(one);
      await one.join({ protocols: [`range=kept${generation}`] });
      await joining;
      expect([one.generationId, two.generationId]).toEqual([generation, generation]);
      const assignments = { [one.memberId]: 'first', [two.memberId]: 'second' };
      const [mine, theirs] = await Promise.all([one.sync(assignments), two.sync()]);
      expect([mine.assignment, theirs.assignment]).toEqual(['first', 'second']);
    }
  }),
];

const STATIC = [
  fact('a static newcomer is let in without coming again', async (stage) => {
    const joined = await join(stage.client, stage.name('group'), { instanceId: 'i' });
    expect([joined.error, joined.generationId]).toEqual(['NONE', 1]);
    expect(joined.memberId).toMatch(/^i-/);
  }),
  fact('an instance that comes again takes its place without a rebalance', async (stage) => {
    const { groupId, one, two } = await pair(stage, { instances: ['i0', 'i1'] });
    const again = await stage.member(groupId, { instanceId: 'i1', protocols: ['range=m1'] });
    const joined = await again.join();
    expect([joined.error, joined.generationId]).toEqual(['NONE', 2]);
    expect(joined.memberId).not.toBe(two.memberId);
    expect(await again.sync()).toEqual({ error: 'NONE', assignment: 'second' });
    expect(await one.heartbeat()).toBe('NONE');
    expect(await two.heartbeat()).toBe('FENCED_INSTANCE_ID');
    expect((await two.sync()).error).toBe('FENCED_INSTANCE_ID');
    expect((await two.join()).error).toBe('FENCED_INSTANCE_ID');
  }),
  fact(
    'an instance that comes again with other metadata keeps the generation of a stable group',
    async (stage) => {
      const { groupId, one } = await pair(stage, { instances: ['i0', 'i1'] });
      const again = await stage.member(groupId, { instanceId: 'i1', protocols: ['range=new'] });
      const joined = await again.join();
      expect([joined.error, joined.generationId]).toEqual(['NONE', 2]);
      expect(await one.heartbeat()).toBe('NONE');
    },
  ),
  fact(
    'a leading instance that comes again is told the old leader before JoinGroup 9',
    async (stage) => {
      const { groupId, one } = await pair(stage, { instances: ['i0', 'i1'] });
      const again = await stage.member(groupId, { instanceId: 'i0', protocols: ['range=m0'] });
      const joined = await again.join({ version: 8 });
      expect([joined.error, joined.leader, joined.members.size]).toEqual(['NONE', one.memberId, 0]);
    },
  ),
  fact(
    'a leading instance that comes again with JoinGroup 9 leads and skips the assignment',
    async (stage) => {
      const { groupId } = await pair(stage, { instances: ['i0', 'i1'] });
      const again = await stage.member(groupId, { instanceId: 'i0', protocols: ['range=m0'] });
      const joined = await again.join({ version: 9 });
      expect(joined.leader).toBe(joined.memberId);
      expect([joined.skipAssignment, joined.members.size]).toEqual([true, 2]);
    },
  ),
  fact('an instance leaves by its instance id', async (stage) => {
    const { groupId, one } = await pair(stage, { instances: ['i0', 'i1'] });
    const members = [{ memberId: '', groupInstanceId: 'i1' }];
    const answer = await stage.client.ask(leaveGroup, 4, { groupId, members });
    expect(answer.members.map(({ errorCode }) => nameOf(errorCode))).toEqual(['NONE']);
    expect(await one.heartbeat()).toBe('REBALANCE_IN_PROGRESS');
  }),
  fact(
    'leaving with an instance id and the member id of another is FENCED_INSTANCE_ID',
    async (stage) => {
      const { groupId, one } = await pair(stage, { instances: ['i0', 'i1'] });
      const leave = async (memberId: string, groupInstanceId: string) => {
        const members = [{ memberId, groupInstanceId }];
        const answer = await stage.client.ask(leaveGroup, 4, { groupId, members });
        return nameOf(answer.members[0]!.errorCode);
      };
      expect(await leave(one.memberId, 'i1')).toBe('FENCED_INSTANCE_ID');
      expect(await leave('', 'nobody')).toBe('UNKNOWN_MEMBER_ID');
    },
  ),
  fact(
    'a static member that is silent within its session keeps its place through a rebalance',
    async (stage) => {
      const { groupId, options } = await settledWithin(stage, (rebalanceTimeoutMs) => ({
        ...{ rebalanceTimeoutMs, sessionTimeoutMs: 120_000, instanceId: 'i0' },
      }));
      const two = await stage.member(groupId, { ...options, instanceId: 'i1' });
      const joined = await two.join();
      expect(joined.generationId).toBe(2);
      expect(joined.members.size).toBe(2);
    },
  ),
];

const DESCRIBED = [
  fact('a group goes from Dead over CompletingRebalance and Stable to Empty', async (stage) => {
    const groupId = stage.name('group');
    expect(await stateOf(stage, groupId)).toBe('Dead');
    const member = await stage.member(groupId);
    await member.join();
    expect(await stateOf(stage, groupId)).toBe('CompletingRebalance');
    await member.sync({});
    expect(await stateOf(stage, groupId)).toBe('Stable');
    void (await stage.member(groupId)).join().catch(() => {});
    await rebalancing(member);
    expect(await stateOf(stage, groupId)).toBe('PreparingRebalance');
  }),
  fact('a stable group is described with metadata and assignments', async (stage) => {
    const { groupId, one, two } = await pair(stage);
    const answer = await stage.client.ask(describeGroups, 5, { groups: [groupId] });
    const { protocolType, protocolData, members } = answer.groups[0]!;
    expect([protocolType, protocolData]).toEqual(['consumer', 'range']);
    const shown = members.map((each) => [
      each.memberId,
      each.clientId,
      userDataOf(each.memberMetadata),
      each.memberAssignment.toString(),
    ]);
    expect(shown.sort()).toEqual(
      [
        [one.memberId, 'conformance', 'm0', 'first'],
        [two.memberId, 'conformance', 'm1', 'second'],
      ].sort(),
    );
  }),
  fact('a group with offsets and no members is Empty', async (stage) => {
    const groupId = stage.name('group');
    const topic = await stage.topic();
    await stage.client.commitOffset(groupId, { topic, offset: 1 });
    expect(await stateOf(stage, groupId)).toBe('Empty');
  }),
];

const LANES = [
  fact('transactions commit on the node while a JoinGroup is held for 5 seconds', async (stage) => {
    const groupId = stage.name('group');
    const topic = await stage.topic();
    const one = await stage.member(groupId, { rebalanceTimeoutMs: 60_000 });
    await one.settle();
    const two = await stage.member(groupId, { rebalanceTimeoutMs: 60_000 });
    let joined = false;
    const joining = two.join().then((answer) => {
      joined = true;
      return answer;
    });
    await rebalancing(one);
    const producer = await stage.producer();
    const begun = Date.now();
    let count = 0;
    for (; Date.now() - begun < 5_000 || count < 6; count++) {
      await producer.send(topic, [String(count)]);
      await producer.sendOffset(groupId, { topic, offset: count });
      await producer.finish('commit');
      await one.heartbeat();
    }
    expect(joined).toBe(false);
    await Promise.all([one.join(), joining]);
    expect(await stage.stable(groupId, topic)).toBe(count - 1);
  }),
  fact('a JoinGroup that is held holds what is behind it on its connection', async (stage) => {
    const groupId = stage.name('group');
    const one = await stage.member(groupId);
    await one.settle();
    const two = await stage.member(groupId);
    const joining = two.join();
    await rebalancing(one);
    const before = two.client.connection.answered.length;
    const behind = two.client.listOffset(stage.name('missing'));
    await pause(200);
    expect(two.client.connection.answered.length).toBe(before);
    await one.join();
    await Promise.all([joining, behind]);
    const { answered } = two.client.connection;
    expect(answered).toEqual([...answered].sort((a, b) => a - b));
  }),
];

export const GROUPS = [
  ...JOINING,
  ...SYNCING,
  ...LIVING,
  ...REJOINING,
  ...STATIC,
  ...DESCRIBED,
  ...LANES,
];
