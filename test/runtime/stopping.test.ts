/** How an instance ends: in time, once, and with its reason. */
import { afterEach, expect, test } from 'vitest';
import type { EscapementError } from '../../src/errors.ts';
import { endTxn } from '../../src/kafka/protocol/end-txn.ts';
import { KafkaErrorCode } from '../../src/kafka/protocol/error-codes.ts';
import { heartbeat } from '../../src/kafka/protocol/heartbeat.ts';
import { initProducerId } from '../../src/kafka/protocol/init-producer-id.ts';
import { joinGroup } from '../../src/kafka/protocol/join-group.ts';
import { offsetFetch } from '../../src/kafka/protocol/offset-fetch.ts';
import { TransportError } from '../../src/kafka/transport/transport.ts';
import { systemPorts } from '../../src/ports.ts';
import { within } from '../../src/runtime/within.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { counting, Lab, until } from '../exactness/lab.ts';
import { steadyPorts } from '../exactness/steady-time.ts';
import { answering, Hold, losing } from '../exactness/wire.ts';

const anyRequest = {
  apiKey: heartbeat.key,
  apiVersion: 3,
  body: Buffer.alloc(0),
  timeoutMs: 100,
  lane: 'group',
} as const;

const PATIENT = {
  stopTimeoutMs: 60_000,
  transactionTimeoutMs: 70_000,
  rebalanceTimeoutMs: 80_000,
} as const;

let lab: Lab | null = null;
afterEach(async () => {
  await lab?.close();
  lab = null;
});

test.each(['stay', 'leave'] as const)(
  'stopping does not wait for a cluster that is gone (%s)',
  async (onClose) => {
    lab = await Lab.open({ in: 1, out: 1 });
    const wire = lab.wire();
    const application = await lab.start(counting(), wire, { onClose, stopTimeoutMs: 300 });
    await until(
      () => application.state === 'running',
      () => application.state,
    );
    wire.between = async () => {
      throw new TransportError('never-sent', 'the broker is gone');
    };
    await systemPorts.timers.sleep(300);
    // Lookups alone would take a minute.
    await within(steadyPorts.timers, 30_000, application.stop());
    expect(application.state).toBe('stopped');
  },
);

test('an application that is stopped while it joins ends as one that was stopped', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const wire = lab.wire();
  const hold = new Hold();
  const joining = wire.next(joinGroup, hold.requests);
  const started = lab.start(counting(), wire, { signals: 'handle', stopTimeoutMs: 300 });
  await joining;
  process.emit('SIGTERM');
  const application = await started;
  await application.stopped();
  expect(application.state).toBe('stopped');
  expect(process.listenerCount('SIGTERM')).toBe(0);
});

test('an application that is refused by its group leaves nothing behind', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const wire = lab.wire();
  void wire.next(
    joinGroup,
    answering(joinGroup, () => ({
      throttleTimeMs: 0,
      errorCode: KafkaErrorCode.GROUP_AUTHORIZATION_FAILED,
      generationId: -1,
      protocolType: null,
      protocolName: '',
      leader: '',
      skipAssignment: false,
      memberId: '',
      members: [],
    })),
  );
  const refusal = lab.start(counting(), wire, { signals: 'handle' });
  await expect(refusal).rejects.toMatchObject({ kafkaName: 'GROUP_AUTHORIZATION_FAILED' });
  expect(process.listenerCount('SIGTERM')).toBe(0);
  await expect(wire.request(0, anyRequest)).rejects.toMatchObject({ fate: 'never-sent' });
});

test('each task is closed once, also when it is lost while it ends', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const wire = lab.wire();
  const closed: string[] = [];
  const application = await lab.start(counting(), wire, {
    ...PATIENT,
    listener: { taskClosed: (task, reason) => closed.push(`${task} ${reason}`) },
  });
  await until(
    () => application.state === 'running',
    () => application.state,
  );
  // The last commit hangs until the group has forgotten the member.
  const hold = new Hold();
  const ending = wire.next(endTxn, hold.requests);
  lab.write('in', [['a', '1']]);
  await ending;
  const stopped = application.stop();
  void wire.next(
    heartbeat,
    answering(heartbeat, () => ({
      throttleTimeMs: 0,
      errorCode: KafkaErrorCode.UNKNOWN_MEMBER_ID,
    })),
  );
  await until(
    () => closed.length > 0,
    () => 'the task is not closed',
  );
  hold.open();
  await stopped;
  expect(closed).toEqual(['in_0 lost']);
});

test('what a listener throws is logged and changes nothing', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const thrown = () => {
    throw new Error('the listener failed');
  };
  const errors: unknown[] = [];
  const log = { ...silentLog, error: (fields: object) => errors.push(fields) };
  const application = await lab.start(counting(), lab.wire(), {
    log,
    listener: {
      stateChanged: thrown,
      taskStarted: thrown,
      taskClosed: thrown,
      restoreStarted: thrown,
      restoreEnded: thrown,
      failed: thrown,
    },
  });
  lab.write('in', [['a', '1']]);
  await lab.reached(1);
  await application.stop();
  expect(application.state).toBe('stopped');
  expect(errors).toContainEqual({ callback: 'taskStarted', reason: 'Error: the listener failed' });
});

test('an instance that has lost its membership is rebalancing until it is a member again', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const wire = lab.wire();
  const application = await lab.start(counting(), wire);
  await until(
    () => application.state === 'running',
    () => application.state,
  );
  const hold = new Hold();
  const joining = wire.next(joinGroup, hold.requests);
  void wire.next(
    heartbeat,
    answering(heartbeat, () => ({
      throttleTimeMs: 0,
      errorCode: KafkaErrorCode.UNKNOWN_MEMBER_ID,
    })),
  );
  await joining;
  await systemPorts.timers.turn();
  expect(application.state).toBe('rebalancing');
  hold.open();
  await until(
    () => application.state === 'running',
    () => application.state,
  );
});

test.each([
  ['restores', offsetFetch],
  ['recovers', initProducerId],
] as const)('an instance stops at once while a task %s', async (when, api) => {
  lab = await Lab.open({ in: 1, out: 1 });
  const wire = lab.wire();
  const hold = new Hold();
  const held = () => wire.next<unknown>(api, hold.answers);
  // Made before, so that a first start does not ask for offsets itself.
  lab.client.createTopic('app-counts-changelog', 1, { 'cleanup.policy': 'compact' });
  let reached = when === 'restores' ? held() : null;
  const application = await lab.start(counting(), wire, PATIENT);
  if (reached === null) {
    await until(
      () => application.state === 'running',
      () => application.state,
    );
    void wire.next(endTxn, losing('answer'));
    reached = held();
    lab.write('in', [['a', '1']]);
  }
  await reached;
  const stopTwice = async () => {
    await Promise.all([application.stop(), application.stop()]);
  };
  // What it waits for is held, and it would wait for a minute.
  await within(steadyPorts.timers, 30_000, stopTwice());
  expect(application.state).toBe('stopped');
  await expect(application.stopped()).resolves.toBeUndefined();
  const sent = wire.journal.length;
  hold.open();
  await systemPorts.timers.sleep(100);
  expect(wire.journal.length).toBe(sent);
});

test('what stops a task stops the instance, with the reason, and what came before is committed', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const told: EscapementError[] = [];
  const application = await lab.start(counting(), lab.wire(), {
    listener: { failed: (error) => told.push(error) },
  });
  lab.write('in', [
    ['a', '1'],
    ['b', '2'],
  ]);
  lab.client.produce('in', 0, { values: ['x'], key: null, timestamp: 1_000 });
  await expect(application.stopped()).rejects.toMatchObject({
    code: 'RECORD_FAILED',
    at: { task: 'in_0', topic: 'in', partition: 0, offset: 2 },
  });
  expect(told).toMatchObject([{ code: 'RECORD_FAILED' }]);
  expect(application.state).toBe('failed');
  await lab.reached(2);
  expect(lab.offset().offset).toBe(2);
  await application.stop();
});
