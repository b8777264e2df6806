import { describe, expect, test } from 'vitest';
import type { Broker } from '../../src/broker/broker.ts';
import { deleteGroups } from '../../src/kafka/protocol/delete-groups.ts';
import { describeGroups } from '../../src/kafka/protocol/describe-groups.ts';
import { KafkaErrorCode as Code } from '../../src/kafka/protocol/error-codes.ts';
import { heartbeat } from '../../src/kafka/protocol/heartbeat.ts';
import { joinGroup } from '../../src/kafka/protocol/join-group.ts';
import { leaveGroup } from '../../src/kafka/protocol/leave-group.ts';
import { listGroups } from '../../src/kafka/protocol/list-groups.ts';
import { offsetCommit } from '../../src/kafka/protocol/offset-commit.ts';
import { syncGroup } from '../../src/kafka/protocol/sync-group.ts';
import { Client, stage } from './client.ts';

const G = 'g';

/** A member with a connection of its own. */
class Member {
  readonly client: Client;
  readonly instanceId: string | null;
  memberId = '';
  generation = -1;
  userData = 'u';

  constructor(broker: Broker, instanceId: string | null = null) {
    this.client = new Client(broker);
    this.instanceId = instanceId;
  }

  join(options: { version?: number; protocol?: string; sessionTimeoutMs?: number } = {}) {
    const { version = 5, protocol = 'p', sessionTimeoutMs = 10_000 } = options;
    return this.client.post(joinGroup, version, {
      groupId: G,
      sessionTimeoutMs,
      rebalanceTimeoutMs: 60_000,
      memberId: this.memberId,
      ...(version >= 5 ? { groupInstanceId: this.instanceId } : {}),
      protocolType: 'consumer',
      protocols: [{ name: protocol, metadata: Buffer.from(this.userData) }],
    });
  }

  /** Joins and takes the answer; a dynamic newcomer comes twice (KIP-394). */
  joined(later = this.join()) {
    let answer = later.answers[0]!;
    if (answer.errorCode === Code.MEMBER_ID_REQUIRED) {
      this.memberId = answer.memberId;
      answer = this.join().answers[0]!;
    }
    this.memberId = answer.memberId;
    this.generation = answer.generationId;
    return answer;
  }

  sync(assignments: Readonly<Record<string, string>> = {}) {
    return this.client.post(syncGroup, 3, {
      groupId: G,
      generationId: this.generation,
      memberId: this.memberId,
      groupInstanceId: this.instanceId,
      assignments: Object.entries(assignments).map(([memberId, text]) => ({
        memberId,
        assignment: Buffer.from(text),
      })),
    });
  }

  beat(): number {
    return this.client.ask(heartbeat, 3, {
      groupId: G,
      generationId: this.generation,
      memberId: this.memberId,
      groupInstanceId: this.instanceId,
    }).errorCode;
  }

  leave(): number {
    return this.client.ask(leaveGroup, 3, {
      groupId: G,
      members: [{ memberId: this.memberId, groupInstanceId: this.instanceId }],
    }).members[0]!.errorCode;
  }
}

/** A group of one member that has its assignment. */
function alone(instanceId: string | null = null) {
  const staged = stage();
  const first = new Member(staged.broker, instanceId);
  first.joined();
  first.sync({ [first.memberId]: 'all' });
  return { ...staged, first };
}

/** Two members, each with its half. */
function pair(instanceIds: readonly [string | null, string | null] = [null, null]) {
  const staged = alone(instanceIds[0]);
  const { first } = staged;
  const second = new Member(staged.broker, instanceIds[1]);
  let asked = second.join();
  if (asked.answers[0]?.errorCode === Code.MEMBER_ID_REQUIRED) {
    second.memberId = asked.answers[0].memberId;
    asked = second.join();
  }
  expect(first.beat()).toBe(Code.REBALANCE_IN_PROGRESS);
  first.joined();
  second.joined(asked);
  const waiting = second.sync();
  first.sync({ [first.memberId]: 'one', [second.memberId]: 'two' });
  expect(waiting.answers[0]!.assignment.toString()).toBe('two');
  return { ...staged, second };
}

function assigned(later: { answers: readonly { errorCode: number; assignment: Buffer }[] }) {
  const answer = later.answers[0];
  return answer === undefined ? null : [answer.errorCode, answer.assignment.toString()];
}

describe('rule 15: a group', () => {
  test('asks a newcomer to come again with its id from JoinGroup v4 on', () => {
    const { broker } = stage();
    const answer = new Member(broker).join().answers[0]!;
    expect(answer.errorCode).toBe(Code.MEMBER_ID_REQUIRED);
    expect(answer.memberId).toMatch(/^test-/);
    const old = new Member(stage().broker).join({ version: 3 }).answers[0]!;
    expect(old).toMatchObject({ errorCode: Code.NONE, generationId: 1 });
  });

  test('makes the first member the leader and tells it the subscriptions', () => {
    const { broker } = stage();
    const member = new Member(broker);
    const answer = member.joined();
    expect(answer).toMatchObject({ generationId: 1, leader: member.memberId, protocolName: 'p' });
    expect(answer.members.map((each) => each.metadata.toString())).toEqual(['u']);
    expect(assigned(member.sync({ [member.memberId]: 'all' }))).toEqual([Code.NONE, 'all']);
    expect(member.beat()).toBe(Code.NONE);
  });

  test('holds the answers of a rebalance until everybody has joined and the leader assigned', () => {
    const { first, second } = pair();
    expect(first.generation).toBe(2);
    expect(second.generation).toBe(2);
    expect(assigned(first.sync())).toEqual([Code.NONE, 'one']);
  });

  test('fences older generations and strangers', () => {
    const { first } = pair();
    first.generation = 1;
    expect(first.beat()).toBe(Code.ILLEGAL_GENERATION);
    expect(assigned(first.sync())).toEqual([Code.ILLEGAL_GENERATION, '']);
    first.memberId = 'nobody';
    expect(first.beat()).toBe(Code.UNKNOWN_MEMBER_ID);
    expect(first.join().answers[0]!.errorCode).toBe(Code.UNKNOWN_MEMBER_ID);
  });

  test('removes a member whose session ended and rebalances', () => {
    const { ports, first, second } = pair();
    ports.advance(9_000);
    expect(first.beat()).toBe(Code.NONE);
    ports.advance(1_500);
    expect(first.beat()).toBe(Code.REBALANCE_IN_PROGRESS);
    expect(second.beat()).toBe(Code.UNKNOWN_MEMBER_ID);
    expect(first.joined().members).toHaveLength(1);
  });

  test('does not time out a member that waits for its JoinGroup', () => {
    const { ports, first, second } = pair();
    second.userData = 'changed';
    const waiting = second.join();
    for (let beat = 0; beat < 5; beat++) {
      ports.advance(9_000);
      expect(first.beat()).toBe(Code.REBALANCE_IN_PROGRESS);
    }
    expect(waiting.answers).toHaveLength(0);
    first.joined();
    second.joined(waiting);
    expect(second.generation).toBe(3);
  });

  test('goes on without dynamic members that miss the rebalance timeout', () => {
    const { ports, first, second } = pair();
    first.userData = 'changed';
    const waiting = first.join();
    for (let beat = 0; beat < 6; beat++) {
      ports.advance(9_000);
      expect(second.beat()).toBe(Code.REBALANCE_IN_PROGRESS);
    }
    ports.advance(6_000);
    expect(first.joined(waiting).members).toHaveLength(1);
    expect(second.beat()).toBe(Code.UNKNOWN_MEMBER_ID);
  });

  test('puts out members that never ask for their assignment', () => {
    const { ports, first, second } = pair();
    first.userData = 'changed';
    const joining = first.join();
    const other = second.join();
    first.joined(joining);
    second.joined(other);
    const waiting = first.sync({ [first.memberId]: 'one' });
    expect(assigned(waiting)).toEqual([Code.NONE, 'one']);
    for (let beat = 0; beat < 7; beat++) {
      expect([first.beat(), second.beat()]).toEqual([Code.NONE, Code.NONE]);
      ports.advance(9_000);
    }
    // Stable by then, and the second one alive: it still never asked.
    expect(second.beat()).toBe(Code.UNKNOWN_MEMBER_ID);
    expect(first.beat()).toBe(Code.REBALANCE_IN_PROGRESS);
    const { ports: time, first: leader, second: follower } = pair();
    leader.userData = 'changed';
    const again = leader.join();
    follower.joined(follower.join());
    leader.joined(again);
    const held = follower.sync();
    for (let beat = 0; beat < 7; beat++) {
      time.advance(9_000);
      leader.beat();
    }
    expect(assigned(held)).toEqual([Code.REBALANCE_IN_PROGRESS, '']);
    expect(leader.beat()).toBe(Code.UNKNOWN_MEMBER_ID);
  });

  test('rebalances when a member leaves', () => {
    const { first, second } = pair();
    expect(second.leave()).toBe(Code.NONE);
    expect(second.leave()).toBe(Code.UNKNOWN_MEMBER_ID);
    expect(first.beat()).toBe(Code.REBALANCE_IN_PROGRESS);
    first.joined();
    expect(first.generation).toBe(3);
    expect(first.leave()).toBe(Code.NONE);
    expect(first.client.broker.groups.find(G)!.group.state).toBe('Empty');
  });

  test('rebalances when the leader joins again, not when a follower does unchanged', () => {
    const { first, second } = pair();
    expect(second.join().answers[0]).toMatchObject({ errorCode: Code.NONE, generationId: 2 });
    expect(first.beat()).toBe(Code.NONE);
    const waiting = first.join();
    expect(waiting.answers).toHaveLength(0);
    expect(second.beat()).toBe(Code.REBALANCE_IN_PROGRESS);
  });

  test('answers a repeated JoinGroup of a generation that has no assignment yet', () => {
    const { broker } = stage();
    const member = new Member(broker);
    member.joined();
    const again = member.join().answers[0]!;
    expect(again).toMatchObject({ errorCode: Code.NONE, generationId: 1 });
    expect(again.members).toHaveLength(1);
  });

  test('refuses protocols that not everybody speaks, and session timeouts out of range', () => {
    const { broker } = alone();
    const other = new Member(broker);
    expect(other.join({ protocol: 'q' }).answers[0]!.errorCode).toBe(
      Code.INCONSISTENT_GROUP_PROTOCOL,
    );
    expect(other.join({ sessionTimeoutMs: 999 }).answers[0]!.errorCode).toBe(
      Code.INVALID_SESSION_TIMEOUT,
    );
  });

  test('waits for the initial rebalance delay when it is told to', () => {
    const { broker, ports } = stage({ initialRebalanceDelayMs: 3_000 });
    const [first, second] = [new Member(broker), new Member(broker)];
    for (const member of [first, second]) member.memberId = member.join().answers[0]!.memberId;
    const [one, two] = [first.join(), second.join()];
    // The second one came amid the delay, which therefore begins again.
    ports.advance(5_999);
    expect([...one.answers, ...two.answers]).toEqual([]);
    ports.advance(1);
    expect(first.joined(one).members).toHaveLength(2);
    expect(second.joined(two).generationId).toBe(1);
  });

  test('prolongs the initial delay for late comers up to the rebalance timeout', () => {
    const { broker, ports } = stage({ initialRebalanceDelayMs: 3_000 });
    const members = Array.from({ length: 30 }, () => new Member(broker));
    const waiting = members.map((member) => {
      member.memberId = member.join().answers[0]!.memberId;
      const asked = member.join();
      ports.advance(2_900);
      return asked;
    });
    // 60 s after the first, who asked for 60 s; those that came later are a rebalance of their own.
    expect(members[0]!.joined(waiting[0]).members).toHaveLength(21);
  });

  test('asks SyncGroup v5 for the protocol that it chose', () => {
    const { client, first } = alone();
    const sync = (protocolType: string | null, protocolName: string | null) =>
      client.ask(syncGroup, 5, {
        groupId: G,
        generationId: first.generation,
        memberId: first.memberId,
        protocolType,
        protocolName,
        assignments: [],
      }).errorCode;
    expect(sync('consumer', 'p')).toBe(Code.NONE);
    expect(sync('consumer', 'q')).toBe(Code.INCONSISTENT_GROUP_PROTOCOL);
    expect(sync('connect', 'p')).toBe(Code.INCONSISTENT_GROUP_PROTOCOL);
    expect(sync(null, null)).toBe(Code.INCONSISTENT_GROUP_PROTOCOL);
  });

  test('takes a commit of offsets for a sign of life', () => {
    const { client, ports, first } = alone();
    client.createTopic('in');
    const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }];
    for (let commits = 0; commits < 3; commits++) {
      ports.advance(9_000);
      const answer = client.ask(offsetCommit, 8, {
        groupId: G,
        generationIdOrMemberEpoch: first.generation,
        memberId: first.memberId,
        topics: [{ name: 'in', partitions }],
      });
      expect(answer.topics[0]!.partitions[0]!.errorCode).toBe(Code.NONE);
    }
    expect(first.beat()).toBe(Code.NONE);
  });

  test('hears why a member leaves', () => {
    const { client, first, second } = pair();
    const member = { memberId: second.memberId, groupInstanceId: null, reason: 'rolling restart' };
    const answer = client.ask(leaveGroup, 5, { groupId: G, members: [member] });
    expect(answer.members.map((each) => each.errorCode)).toEqual([Code.NONE]);
    expect(first.beat()).toBe(Code.REBALANCE_IN_PROGRESS);
  });

  test('is described, listed, and deleted only when it is empty', () => {
    const { client, first } = alone();
    const [described] = client.ask(describeGroups, 4, { groups: [G] }).groups;
    expect(described).toMatchObject({ groupState: 'Stable', protocolData: 'p' });
    expect(described!.members[0]).toMatchObject({ clientId: 'test', memberId: first.memberId });
    const listed = client.ask(listGroups, 4, { statesFilter: ['Stable'] }).groups;
    expect(listed).toEqual([
      { groupId: G, protocolType: 'consumer', groupState: 'Stable', groupType: '' },
    ]);
    const remove = () => client.ask(deleteGroups, 1, { groupsNames: [G] }).results[0]!.errorCode;
    expect(remove()).toBe(Code.NON_EMPTY_GROUP);
    first.leave();
    expect(remove()).toBe(Code.NONE);
    expect(remove()).toBe(Code.GROUP_ID_NOT_FOUND);
  });
});

describe('rule 15: a static member', () => {
  test('that comes again gets its old assignment back without a rebalance', () => {
    const { broker, first, second } = pair(['a', 'b']);
    const restarted = new Member(broker, 'b');
    const answer = restarted.joined();
    expect(answer).toMatchObject({ errorCode: Code.NONE, generationId: 2 });
    expect(restarted.memberId).not.toBe(second.memberId);
    expect(assigned(restarted.sync())).toEqual([Code.NONE, 'two']);
    expect(first.beat()).toBe(Code.NONE);
    expect(restarted.beat()).toBe(Code.NONE);
  });

  test('fences the member that it replaces, wherever that one asks', () => {
    const { broker, second } = pair(['a', 'b']);
    new Member(broker, 'b').joined();
    expect(second.beat()).toBe(Code.FENCED_INSTANCE_ID);
    expect(assigned(second.sync())).toEqual([Code.FENCED_INSTANCE_ID, '']);
    expect(second.join().answers[0]!.errorCode).toBe(Code.FENCED_INSTANCE_ID);
    expect(second.leave()).toBe(Code.FENCED_INSTANCE_ID);
  });

  test('fences the member that it replaces also while that one waits', () => {
    const { broker, first } = pair(['a', 'b']);
    first.userData = 'changed';
    const waiting = first.join();
    const restarted = new Member(broker, 'a').join();
    expect(waiting.answers[0]!.errorCode).toBe(Code.FENCED_INSTANCE_ID);
    expect(restarted.answers).toHaveLength(0);
  });

  test('that led is told another leader before v9, and to skip the assignment from v9 on', () => {
    const { broker, first } = pair(['a', 'b']);
    const old = new Member(broker, 'a');
    const before = old.join().answers[0]!;
    expect(before.leader).toBe(first.memberId);
    expect(before.members).toEqual([]);
    const fresh = new Member(broker, 'a').join({ version: 9 }).answers[0]!;
    expect(fresh).toMatchObject({ leader: fresh.memberId, skipAssignment: true });
    expect(fresh.members).toHaveLength(2);
  });

  test('keeps its place in a rebalance that it misses while its session lasts', () => {
    const { ports, first, second } = pair(['a', 'b']);
    first.userData = 'changed';
    const waiting = first.join();
    for (let beat = 0; beat < 6; beat++) {
      ports.advance(9_000);
      expect(second.beat()).toBe(Code.REBALANCE_IN_PROGRESS);
    }
    ports.advance(6_000);
    expect(first.joined(waiting).members.map((each) => each.groupInstanceId)).toEqual(['a', 'b']);
    expect(second.beat()).toBe(Code.ILLEGAL_GENERATION);
  });

  test('that led and misses a rebalance hands the lead to one that came', () => {
    const { ports, first, second } = pair(['a', 'b']);
    second.userData = 'changed';
    const waiting = second.join();
    for (let beat = 0; beat < 6; beat++) {
      ports.advance(9_000);
      first.beat();
    }
    ports.advance(6_000);
    const answer = second.joined(waiting);
    expect(answer.leader).toBe(second.memberId);
    expect(answer.members).toHaveLength(2);
  });

  test('loses its place when its session ends', () => {
    const { ports, first, second } = pair(['a', 'b']);
    first.userData = 'changed';
    const waiting = first.join();
    ports.advance(5_000);
    second.beat();
    ports.advance(9_999);
    expect(waiting.answers).toHaveLength(0);
    ports.advance(1);
    expect(first.joined(waiting).members).toHaveLength(1);
  });

  test('leaves by its instance id alone', () => {
    const { client, first } = pair(['a', 'b']);
    const answer = client.ask(leaveGroup, 3, {
      groupId: G,
      members: [{ memberId: '', groupInstanceId: 'b' }],
    });
    expect(answer.members[0]!.errorCode).toBe(Code.NONE);
    expect(first.beat()).toBe(Code.REBALANCE_IN_PROGRESS);
  });
});

describe('rule 17: a group whose coordinator moves', () => {
  test('goes on with its members and their generation', () => {
    const { broker, ports, first, second } = pair();
    broker.moveCoordinator('group', G);
    expect(first.beat()).toBe(Code.COORDINATOR_LOAD_IN_PROGRESS);
    ports.advance(5);
    expect([first.beat(), second.beat()]).toEqual([Code.NONE, Code.NONE]);
    expect(assigned(first.sync())).toEqual([0, 'one']);
  });

  test('sends those that wait for a rebalance away, and knows nothing of it any more', () => {
    const { broker, ports, first } = alone();
    const second = new Member(broker);
    second.memberId = second.join().answers[0]!.memberId;
    const waiting = second.join();
    expect(waiting.answers).toEqual([]);
    broker.moveCoordinator('group', G);
    expect(waiting.answers[0]!.errorCode).toBe(Code.NOT_COORDINATOR);
    ports.advance(5);
    expect(first.beat()).toBe(Code.NONE);
    expect(second.join().answers[0]!.errorCode).toBe(Code.UNKNOWN_MEMBER_ID);
  });

  test('begins its sessions again', () => {
    const { broker, ports, first } = alone();
    ports.advance(9_000);
    broker.moveCoordinator('group', G);
    ports.advance(9_000);
    expect(first.beat()).toBe(Code.NONE);
    ports.advance(10_001);
    expect(first.beat()).toBe(Code.UNKNOWN_MEMBER_ID);
  });
});
