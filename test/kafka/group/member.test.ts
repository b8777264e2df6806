import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { assignedIn } from '../../../src/kafka/group/assignment-round.ts';
import { GroupRequests } from '../../../src/kafka/group/group-requests.ts';
import { heartbeat } from '../../../src/kafka/protocol/heartbeat.ts';
import { joinGroup } from '../../../src/kafka/protocol/join-group.ts';
import { syncGroup } from '../../../src/kafka/protocol/sync-group.ts';
import { planOf } from '../../../src/kafka/transport/faulty.ts';
import { failure } from '../producer/steps.ts';
import type { RunningTime } from '../running-time.ts';
import { SESSION_MS, Stage, shared, TASKS } from './members.ts';

// kafkajs stands for any other tool that looks at the group.
const { AssignerProtocol }: typeof import('kafkajs') = createRequire(import.meta.url)('kafkajs');

/** The input of `orders` under another name. */
const MOVED = [{ id: 'moved_0', inputs: [{ topic: 'orders', partition: 0 }], changelogs: [] }];

let stage: Stage;

beforeEach(() => {
  stage = new Stage();
});

afterEach(() => stage.close());

const until: RunningTime['until'] = (holds, what) => stage.over.time.until(holds, what);
const sleep = (ms: number) => stage.over.ports.timers.sleep(ms);
const monotonic = () => stage.over.ports.clock.monotonic();

function groupView() {
  return stage.over.broker.groups.find('billing')!.group;
}

function noOverlaps(): void {
  expect(stage.told.flatMap(({ overlaps }) => overlaps)).toEqual([]);
}

describe('a group', () => {
  test('of one member gives it every task at once', async () => {
    const a = await stage.joined({ name: 'a' });
    expect(a.tasks).toEqual(TASKS);
    expect(a.member.generation).toBe(1);
    expect(a.member.ownedSince('orders_0', 1)).toBe(true);
    expect(await a.member.membership()).toMatchObject({ generation: 1, instanceId: null });
  });

  test('shows ordinary tools which partitions a member has', async () => {
    await stage.joined({ name: 'a', tasks: ['orders_1', 'orders_2'] });
    const [member] = groupView().members();
    const { MemberAssignment, MemberMetadata } = AssignerProtocol;
    expect(groupView().protocolType).toBe('consumer');
    expect(MemberMetadata.decode(member!.metadata)!.topics).toEqual(['orders']);
    expect(MemberAssignment.decode(member!.assignment)!.assignment).toEqual({ orders: [1, 2] });
  });

  test('that grows moves tasks only after their owner has let go, and never touches the rest', async () => {
    let letGo = () => {};
    const holding = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const a = await stage.joined({ name: 'a', revoking: () => holding });
    const b = await stage.joined({ name: 'b' });
    await until(
      () => a.events.length === 2,
      () => a.events,
    );
    expect(a.events).toEqual([`assigned ${TASKS.join(' ')}`, 'revoked orders_2 orders_3']);
    // While the listener takes its time heartbeats go on, and b gets nothing.
    const beats = a.transport.count(heartbeat.key);
    await until(
      () => a.transport.count(heartbeat.key) > beats + 20,
      () => 'the heartbeats stopped',
    );
    expect(b.tasks).toEqual([]);
    expect(a.member.ownedSince('orders_2', 1)).toBe(false);
    letGo();
    await shared([2, 2], [a, b]);
    expect(a.events).toHaveLength(2);
    expect(a.member.ownedSince('orders_0', 1)).toBe(true);
    expect(b.tasks).toEqual(['orders_2', 'orders_3']);
    expect(a.losses).toEqual([]);
    noOverlaps();
  });

  test('of three members owns each task once, whoever comes and goes', async () => {
    const a = await stage.joined({ name: 'a' });
    const [b, c] = await Promise.all([stage.joined({ name: 'b' }), stage.joined({ name: 'c' })]);
    await shared([1, 1, 2], [a, b, c]);
    expect([...a.tasks, ...b.tasks, ...c.tasks].sort()).toEqual(TASKS);
    const kept = new Set([...a.tasks, ...c.tasks]);
    b.owned.clear();
    await b.member.stop({ leave: 'leave' });
    await shared([2, 2], [a, c]);
    expect([...a.tasks, ...c.tasks].sort()).toEqual(TASKS);
    for (const task of kept) expect(a.owned.has(task) || c.owned.has(task)).toBe(true);
    expect(c.events.filter((event) => event.startsWith('revoked'))).toEqual([]);
    noOverlaps();
  });

  test('takes over the tasks of a member whose session ends', async () => {
    const a = await stage.joined({ name: 'a' });
    const b = await stage.joined({ name: 'b', sessionTimeoutMs: 1_000 });
    await shared([2, 2], [a, b]);
    b.transport.stop();
    b.owned.clear();
    await shared([4], [a]);
    expect(a.events.filter((event) => event.startsWith('revoked'))).toHaveLength(1);
  });

  test('takes over at once from a member that leaves', async () => {
    const a = await stage.joined({ name: 'a' });
    const b = await stage.joined({ name: 'b' });
    await shared([2, 2], [a, b]);
    b.owned.clear();
    const left = monotonic();
    await b.member.stop({ leave: 'leave' });
    await shared([4], [a]);
    expect(monotonic() - left).toBeLessThan(SESSION_MS);
  });
});

describe('a static member', () => {
  test('that comes back within its session has its tasks without a rebalance', async () => {
    const a = await stage.joined({ name: 'a', instanceId: 'i-a' });
    const b = await stage.joined({ name: 'b', instanceId: 'i-b' });
    await shared([2, 2], [a, b]);
    const { generation } = groupView();
    const had = b.tasks;
    const joins = a.transport.count(joinGroup.key);
    b.transport.stop();
    b.owned.clear();
    const again = await stage.joined({ name: 'b2', instanceId: 'i-b' });
    expect(again.tasks).toEqual(had);
    expect(groupView().generation).toBe(generation);
    await sleep(500);
    expect(a.transport.count(joinGroup.key)).toBe(joins);
    expect(again.tasks).toEqual(had);
  });

  test('that led the group comes back without assigning anew', async () => {
    const a = await stage.joined({ name: 'a', instanceId: 'i-a' });
    const b = await stage.joined({ name: 'b', instanceId: 'i-b' });
    await shared([2, 2], [a, b]);
    const { generation } = groupView();
    const had = a.tasks;
    a.transport.stop();
    a.owned.clear();
    const again = await stage.joined({ name: 'a2', instanceId: 'i-a' });
    expect(again.tasks).toEqual(had);
    expect(groupView().generation).toBe(generation);
    const c = await stage.joined({ name: 'c' });
    await shared([1, 1, 2], [again, b, c]);
    noOverlaps();
  });

  test('of another topology forces a rebalance and gets tasks of its own', async () => {
    const a = await stage.joined({ name: 'a', instanceId: 'i-a' });
    a.transport.stop();
    a.owned.clear();
    const again = await stage.joined({ name: 'a2', instanceId: 'i-a', tasks: ['rates_0'] });
    expect(again.tasks).toEqual(['rates_0']);
    expect(groupView().generation).toBe(2);
  });

  test('that restarts before it let revoked tasks go frees them', async () => {
    const a = await stage.joined({
      name: 'a',
      instanceId: 'i-a',
      revoking: () => new Promise(() => {}),
    });
    const b = await stage.joined({ name: 'b', instanceId: 'i-b' });
    await until(
      () => a.events.some((event) => event.startsWith('revoked')),
      () => a.events,
    );
    a.transport.stop();
    a.owned.clear();
    const again = await stage.joined({ name: 'a2', instanceId: 'i-a' });
    await shared([2, 2], [again, b]);
  });

  test('whose topology has moved an input is refused while the old one lives, and leaves', async () => {
    const a = await stage.joined({ name: 'a', instanceId: 'i-a' });
    const b = await stage.joined({ name: 'b', instanceId: 'i-b' });
    await shared([2, 2], [a, b]);
    b.transport.stop();
    b.owned.clear();
    const again = stage.member({ name: 'b2', instanceId: 'i-b', plans: MOVED });
    const error = await failure(again.member.start());
    expect([error.code, error.decision]).toEqual(['TOPOLOGY_INVALID', 'stop']);
    expect(error.message).toContain(
      'orders belongs to sub-topology orders there and to moved here',
    );
    expect(again.failures).toEqual([]);
    // At once: no session has to end before the others have what it cannot run.
    const refused = monotonic();
    await shared([4], [a]);
    expect(monotonic() - refused).toBeLessThan(SESSION_MS);
    expect(groupView().members()).toHaveLength(1);
  });

  test('with another host forces a rebalance, and every task stays where it is', async () => {
    const a = await stage.joined({ name: 'a', instanceId: 'i-a', host: 'a:1' });
    const b = await stage.joined({ name: 'b', instanceId: 'i-b', host: 'b:1' });
    await shared([2, 2], [a, b]);
    const { generation } = groupView();
    const had = b.tasks;
    b.transport.stop();
    b.owned.clear();
    const again = await stage.joined({ name: 'b2', instanceId: 'i-b', host: 'b:2' });
    expect(again.tasks).toEqual(had);
    expect(groupView().generation).toBe(generation + 1);
    await until(
      () => a.member.hosts.some(({ host }) => host === 'b:2'),
      () => a.member.hosts,
    );
    expect(a.events.filter((event) => event.startsWith('revoked'))).toHaveLength(1);
    for (const { member } of [a, again]) {
      const hosts = new Map(member.hosts.map(({ host, tasks }) => [host, [...tasks].sort()]));
      expect(hosts).toEqual(
        new Map([
          ['a:1', a.tasks],
          ['b:2', had],
        ]),
      );
    }
    noOverlaps();
  });

  test('that a late JoinGroup of its own has fenced joins again', async () => {
    // Speaks for the first JoinGroup of the member, given up by it and not yet read by the broker.
    const late = new GroupRequests({
      ...{ cluster: stage.over.process().cluster, groupId: 'billing', instanceId: 'i-a' },
      ...{ sessionTimeoutMs: 5_000, rebalanceTimeoutMs: 3_000 },
    });
    const a = await stage.joined({
      ...{ name: 'a', instanceId: 'i-a' },
      plan: ({ apiKey }, ordinal) => {
        if (ordinal > 1) return null;
        if (apiKey === joinGroup.key) return { outcome: 'lose-request', at: 'before-send' };
        if (apiKey !== syncGroup.key) return null;
        void late.join('', Buffer.alloc(0)).catch(() => {});
        return { outcome: 'delay', at: 'before-send', delayMs: 50 };
      },
    });
    expect(a.transport.count(syncGroup.key)).toBeGreaterThan(1);
    expect(a.failures).toEqual([]);
    expect(a.tasks).toEqual(TASKS);
  });

  test('is stopped by a newer process with its instance id, and says so', async () => {
    const old = await stage.joined({ name: 'old', instanceId: 'i-a' });
    const young = await stage.joined({ name: 'young', instanceId: 'i-a' });
    await until(
      () => old.failures.length > 0,
      () => old.events,
    );
    expect(old.failures[0]).toMatchObject({ code: 'INSTANCE_FENCED', decision: 'stop' });
    expect(old.failures[0]!.message).toContain("'i-a'");
    expect(old.member.state).toBe('failed');
    expect((await failure(old.member.heartbeat())).code).toBe('INSTANCE_FENCED');
    expect((await failure(old.member.membership())).code).toBe('INSTANCE_FENCED');
    await sleep(100);
    expect(young.failures).toEqual([]);
    expect(young.tasks).toEqual(TASKS);
  });
});

describe('members of different topologies', () => {
  test('each run what they know, while no topic belongs to another sub-topology', async () => {
    const a = await stage.joined({ name: 'a' });
    const b = await stage.joined({ name: 'b', tasks: [...TASKS, 'rates_0', 'rates_1'] });
    await shared([3, 3], [a, b]);
    expect(a.tasks.every((task) => task.startsWith('orders'))).toBe(true);
    expect([...a.tasks, ...b.tasks].sort()).toEqual([...TASKS, 'rates_0', 'rates_1'].sort());
    expect([...a.failures, ...b.failures]).toEqual([]);
    noOverlaps();
  });

  test('do not: the newcomer is refused, stops with the reason and costs the others nothing', async () => {
    const a = await stage.joined({ name: 'a' });
    const b = stage.member({ name: 'b', plans: MOVED });
    const error = await failure(b.member.start());
    expect([error.code, error.decision]).toEqual(['TOPOLOGY_INVALID', 'stop']);
    await until(
      () => groupView().members().length === 1 && a.member.state === 'stable',
      () => a.member.state,
    );
    expect([a.events, a.failures]).toEqual([[`assigned ${TASKS.join(' ')}`], []]);
    await a.member.stop({ leave: 'leave' });
    const alone = await stage.joined({ name: 'c', plans: MOVED });
    expect(alone.tasks).toEqual(['moved_0']);
  });

  test('one of which writes nonsense into the group: it gets nothing, the others go on', async () => {
    const a = await stage.joined({ name: 'a' });
    const foreign = new GroupRequests({
      cluster: stage.over.process().cluster,
      groupId: 'billing',
      instanceId: 'foreign',
      // It sends no heartbeats.
      sessionTimeoutMs: 60_000,
      rebalanceTimeoutMs: 5_000,
    });
    const { memberId, generation } = await foreign.join('', Buffer.from('nonsense'));
    const { assignment } = await foreign.sync(generation, memberId, []);
    expect(assignedIn(assignment)).toMatchObject({
      tasks: [],
      refusal: expect.stringContaining('metadata'),
    });
    await until(
      () => a.member.state === 'stable' && a.member.generation === generation,
      () => a.member.state,
    );
    expect([a.events, a.failures]).toEqual([[`assigned ${TASKS.join(' ')}`], []]);
  });
});

describe('a lost member', () => {
  test('is told so when its session is over, and begins anew without claims', async () => {
    let silent = false;
    const a = await stage.joined({
      name: 'a',
      sessionTimeoutMs: 600,
      plan: () => (silent ? { outcome: 'lose-request', at: 'before-send' } : null),
    });
    await a.member.heartbeat();
    silent = true;
    const error = await failure(a.member.heartbeat());
    expect(error.decision).toBe('lost');
    expect(a.losses).toEqual([error]);
    expect(a.losses[0]!.message).toContain('session is over');
    expect(a.member.generation).toBe(-1);
    expect(a.member.ownedSince('orders_0', 1)).toBe(false);
    silent = false;
    await shared([4], [a]);
    expect(a.events.slice(1)).toEqual(['lost', `assigned ${TASKS.join(' ')}`]);
  });

  test('is told so by the broker that has forgotten it', async () => {
    const a = await stage.joined({
      name: 'a',
      heartbeatIntervalMs: 10_000,
      sessionTimeoutMs: 5_000,
    });
    const { memberId } = await a.member.membership();
    expect(groupView().leave(memberId, null)).toBe(0);
    const error = await failure(a.member.heartbeat());
    expect([error.decision, error.message.includes('UNKNOWN_MEMBER_ID')]).toEqual(['lost', true]);
    await shared([4], [a]);
    expect(a.member.generation).toBeGreaterThan(1);
    expect((await a.member.membership()).memberId).not.toBe(memberId);
  });

  const missing = { instanceId: 'i-a', sessionTimeoutMs: 5_000, rebalanceTimeoutMs: 100 };

  test('is one that a generation has passed without', async () => {
    const a = await stage.joined({ name: 'a', ...missing, heartbeatIntervalMs: 10_000 });
    // Static, so that the broker goes on without it and keeps its place.
    const b = stage.member({ name: 'b', rebalanceTimeoutMs: 100 });
    await b.member.start();
    expect(groupView().generation).toBe(2);
    const error = await failure(a.member.heartbeat());
    expect(error.decision).toBe('lost');
    expect(a.losses[0]!.message).toContain('past generation 1');
    await shared([2, 2], [a, b]);
  });

  test('is one whose JoinGroup comes a generation late', async () => {
    const plan = planOf([
      // After one rebalance timeout, when the broker went on without it, and before a second one,
      // when it puts out the members that never asked for their assignment.
      { apiKey: joinGroup.key, ordinal: 2, outcome: 'delay', at: 'before-send', delayMs: 1_400 },
    ]);
    const a = await stage.joined({ name: 'a', ...missing, rebalanceTimeoutMs: 1_000, plan });
    const b = stage.member({ name: 'b', rebalanceTimeoutMs: 1_000 });
    await b.member.start();
    await until(
      () => a.losses.length > 0,
      () => a.events,
    );
    expect(a.losses[0]!.message).toContain('past generation 1');
    await shared([2, 2], [a, b]);
    expect(a.losses).toHaveLength(1);
  });

  test('finds out by its own clock after a stall, at once and though nobody tells it', async () => {
    let silent = false;
    const a = await stage.joined({
      ...{ name: 'a', sessionTimeoutMs: 100, heartbeatIntervalMs: 30 },
      plan: () => (silent ? { outcome: 'lose-request', at: 'before-send' } : null),
    });
    silent = true;
    stage.over.time.stall(200);
    const awake = monotonic();
    await until(
      () => a.losses.length > 0,
      () => a.events,
    );
    expect(monotonic() - awake).toBeLessThan(30);
    expect(a.losses[0]!.message).toContain('session is over');
    silent = false;
    await shared([4], [a]);
  });
});

describe('a request of the group', () => {
  test.each([
    ['JoinGroup', joinGroup.key],
    ['SyncGroup', syncGroup.key],
  ])('%s whose answer is lost is repeated, and the tasks come', async (_, apiKey) => {
    const plan = planOf([
      { apiKey, ordinal: 2, outcome: 'lose-reply', at: 'after-reply' },
      { apiKey, ordinal: 1, outcome: 'lose-request', at: 'before-send' },
    ]);
    const a = stage.member({ name: 'a', sessionTimeoutMs: 1_000, plan });
    await a.member.start();
    expect(a.transport.struck.length).toBeGreaterThan(0);
    expect(a.tasks).toEqual(TASKS);
    const b = await stage.joined({ name: 'b' });
    await shared([2, 2], [a, b]);
    noOverlaps();
  });

  test('that is lost in a rebalance costs no task its owner', async () => {
    const plan = planOf([
      { apiKey: joinGroup.key, ordinal: 3, outcome: 'lose-request', at: 'before-send' },
    ]);
    const a = await stage.joined({ name: 'a', plan });
    const b = await stage.joined({ name: 'b' });
    await shared([2, 2], [a, b]);
    expect(a.transport.struck).toHaveLength(1);
    expect(a.losses).toEqual([]);
    noOverlaps();
  });

  test('Heartbeat whose answer is lost is repeated within the session', async () => {
    const plan = planOf([
      { apiKey: heartbeat.key, ordinal: 1, outcome: 'lose-reply', at: 'after-reply' },
      { apiKey: heartbeat.key, ordinal: 2, outcome: 'lose-request', at: 'before-send' },
    ]);
    const a = await stage.joined({ name: 'a', plan });
    await a.member.heartbeat();
    expect(a.losses).toEqual([]);
    expect(a.transport.struck).toHaveLength(2);
  });
});

describe('membership', () => {
  test('waits while a JoinGroup is under way, and then names the new generation', async () => {
    const a = await stage.joined({ name: 'a' });
    // Hears of the next rebalance late, and holds it until then.
    const slow = { heartbeatIntervalMs: 400, sessionTimeoutMs: 3_000 };
    const b = await stage.joined({ name: 'b', ...slow });
    await shared([2, 2], [a, b]);
    const before = a.member.generation;
    const joining = stage.joined({ name: 'c' });
    await until(
      () => a.member.state === 'joining',
      () => a.member.state,
    );
    let known: number | null = null;
    const asked = a.member.membership().then(({ generation }) => {
      known = generation;
    });
    for (let turn = 0; turn < 5; turn++) await stage.over.ports.timers.turn();
    expect([known, a.member.state]).toEqual([null, 'joining']);
    await asked;
    expect(known).toBe(before + 1);
    await joining;
    // Processing goes on: what a keeps was never taken from it.
    expect(a.member.ownedSince('orders_0', 1)).toBe(true);
    expect(a.losses).toEqual([]);
  });

  test('is refused once the member is stopped', async () => {
    const a = await stage.joined({ name: 'a' });
    await a.member.stop({ leave: 'leave' });
    expect((await failure(a.member.membership())).code).toBe('CLOSED');
    expect((await failure(a.member.heartbeat())).code).toBe('CLOSED');
    expect(groupView().members()).toEqual([]);
  });

  test('stays with the broker when the member stops to come back', async () => {
    const a = await stage.joined({ name: 'a', instanceId: 'i-a' });
    await a.member.stop({ leave: 'stay' });
    expect(groupView().members()).toHaveLength(1);
  });
});

describe('a fresh heartbeat', () => {
  test('is sent after it was asked for, and shared by those who asked before it was', async () => {
    const a = await stage.joined({
      name: 'a',
      heartbeatIntervalMs: 10_000,
      sessionTimeoutMs: 5_000,
    });
    const count = () => a.transport.count(heartbeat.key);
    const first = a.member.heartbeat();
    await Promise.resolve();
    await until(() => count() === 1, count);
    const shares = [a.member.heartbeat(), a.member.heartbeat(), a.member.heartbeat()];
    await Promise.all([first, ...shares]);
    expect(count()).toBe(2);
  });
});

test('a member that the group refuses rejects its start', async () => {
  const a = stage.member({ name: 'a', sessionTimeoutMs: 10 });
  const error = await failure(a.member.start());
  expect(error.decision).toBe('stop');
  expect(error.message).toContain('INVALID_SESSION_TIMEOUT');
  expect(a.failures).toEqual([]);
});
