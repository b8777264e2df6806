/** How an instance ends: in time, once, and with its reason. */
import { afterEach, expect, test } from 'vitest';
import { endTxn } from '../../src/kafka/protocol/end-txn.ts';
import { KafkaErrorCode } from '../../src/kafka/protocol/error-codes.ts';
import { heartbeat } from '../../src/kafka/protocol/heartbeat.ts';
import { joinGroup } from '../../src/kafka/protocol/join-group.ts';
import { TransportError } from '../../src/kafka/transport/transport.ts';
import { systemPorts } from '../../src/ports.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { counting, Lab, until } from '../exactness/lab.ts';
import { answering, Hold } from '../exactness/wire.ts';

const anyRequest = {
  apiKey: heartbeat.key,
  apiVersion: 3,
  body: Buffer.alloc(0),
  timeoutMs: 100,
  lane: 'group',
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
    const began = Date.now();
    await application.stop();
    expect(Date.now() - began).toBeLessThan(1_000);
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
