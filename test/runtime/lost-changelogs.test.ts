/** Changelogs that are missing at start: created for what is new, refused for what has run. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { resolveOptions } from '../../src/config/options.ts';
import type { EscapementError } from '../../src/errors.ts';
import { count, long, to, topology } from '../../src/index.ts';
import { Cluster } from '../../src/kafka/cluster/cluster.ts';
import { createTopics } from '../../src/kafka/protocol/create-topics.ts';
import { deleteTopics } from '../../src/kafka/protocol/delete-topics.ts';
import { KafkaErrorCode } from '../../src/kafka/protocol/error-codes.ts';
import { joinGroup } from '../../src/kafka/protocol/join-group.ts';
import { metadata } from '../../src/kafka/protocol/metadata.ts';
import { offsetFetch } from '../../src/kafka/protocol/offset-fetch.ts';
import { planApplication } from '../../src/runtime/application-plan.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { asText, counting, folded, Lab, type Row, text } from '../exactness/lab.ts';
import { steadyPorts } from '../exactness/steady-time.ts';
import { answering, Hold, type Wire } from '../exactness/wire.ts';

const ROWS: readonly Row[] = [
  ['a', 'x'],
  ['b', 'x'],
  ['a', 'x'],
];
const CHANGELOG = 'app-counts-changelog';

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.open({ in: 1, out: 1 });
});
afterEach(() => lab.close());

/** Without a store. */
function copying(topic = 'in') {
  const app = topology('count');
  app.stream(topic, { key: text, value: text }).pipe(to('out', { key: text, value: text }));
  return app;
}

async function processed(
  app: { build(): ReturnType<ReturnType<typeof counting>['build']> },
  rows: readonly Row[],
): Promise<void> {
  lab.write('in', rows);
  const application = await lab.start(app, lab.wire());
  await lab.reached(rows.length);
  await application.stop();
}

function drop(topic: string): void {
  lab.client.ask(deleteTopics, 5, { topicNames: [topic], timeoutMs: 1_000 });
}

function refusalOf(
  app: Parameters<Lab['start']>[0],
  wire: Wire = lab.wire(),
  options: Parameters<Lab['start']>[2] = {},
): Promise<EscapementError | 'started'> {
  return lab.start(app, wire, options).then(
    () => 'started' as const,
    (cause: unknown) => cause as EscapementError,
  );
}

const unstable = answering(offsetFetch, () => {
  const row = { partitionIndex: 0, committedOffset: -1, metadata: '' };
  const { UNSTABLE_OFFSET_COMMIT: errorCode } = KafkaErrorCode;
  const topics = [{ name: 'in', partitions: [{ ...row, errorCode }] }];
  return { topics: [], groups: [{ groupId: 'app', errorCode: 0, topics }] };
});

test('a changelog that was deleted is not made anew while the group has offsets', async () => {
  await processed(counting(), ROWS);
  drop(CHANGELOG);
  const refusal = await refusalOf(counting());
  expect(refusal).toMatchObject({
    code: 'CHANGELOG_MISSING',
    decision: 'stop',
    at: { topic: CHANGELOG },
  });
  const { message } = refusal as EscapementError;
  expect(message).toMatch(/changelog app-counts-changelog does .* group 'app' .* of in-0:/);
  expect(message).toMatch(/newStores/);
  expect(lab.broker.topics.find(CHANGELOG)).toBeUndefined();
});

test('once the offsets are deleted with it, the application begins anew', async () => {
  await processed(counting(), ROWS);
  drop(CHANGELOG);
  lab.broker.groups.forgetTopic('in');
  await lab.start(counting(), lab.wire());
  await lab.reached(ROWS.length);
  expect(await lab.committed(CHANGELOG)).toEqual(folded(ROWS).changelog);
});

test('a store that a new version adds is refused unless it is named as new', async () => {
  await processed(copying(), ROWS);
  expect(await refusalOf(counting())).toMatchObject({ code: 'CHANGELOG_MISSING' });
  await lab.start(counting(), lab.wire(), { newStores: ['counts'] });
  lab.write('in', [['a', 'y']]);
  await lab.reached(ROWS.length + 1);
  expect(await lab.committed(CHANGELOG)).toEqual(['a=1']);
});

test('a store of inputs that were never read needs no word', async () => {
  await processed(copying(), ROWS);
  lab.client.createTopic('others');
  const app = copying();
  app
    .stream('others', { key: text, value: text })
    .pipe(count({ name: 'counts', key: text }), to('out', { key: text, value: long() }));
  expect(await refusalOf(app)).toBe('started');
});

test('a new store that the topology does not have is refused', async () => {
  const refusal = await refusalOf(counting(), lab.wire(), { newStores: ['counts', 'count'] });
  expect(refusal).toMatchObject({ code: 'OPTION_INVALID' });
  expect((refusal as EscapementError).message).toMatch(/newStores names count, .* are: counts\./);
});

test('a start that misses no changelog asks for no offsets and no creation before it joins', async () => {
  await processed(counting(), ROWS);
  const wire = lab.wire();
  await lab.start(counting(), wire);
  const joined = wire.sent(joinGroup)[0]!.sentAt;
  expect(wire.sent(createTopics)).toEqual([]);
  expect(wire.sent(offsetFetch).filter(({ sentAt }) => sentAt < joined)).toEqual([]);
});

/** Starts an instance that reads, of its broker, that the changelog is missing, as it was. */
async function startedBeside(wire: Wire): Promise<{ readonly looked: Hold }> {
  const looked = new Hold();
  const looking = wire.next(metadata, looked.answers, ({ topics }) =>
    (topics ?? []).some(({ name }) => name === CHANGELOG),
  );
  await looking;
  return { looked };
}

test('an instance that starts for the first time beside a faster one is not refused', async () => {
  const wire = lab.wire();
  const looking = startedBeside(wire);
  const slow = refusalOf(counting(), wire, { instanceId: 'two' });
  const { looked } = await looking;
  lab.write('in', ROWS);
  await lab.start(counting(), lab.wire());
  await lab.reached(ROWS.length);
  looked.open();
  expect(await slow).toBe('started');
  expect(wire.bodies(createTopics)[0]).toMatchObject({ validateOnly: true });
  expect(await lab.counts()).toEqual(folded(ROWS));
});

/** The next question whether the changelog could be created is answered so. */
function refuseCreation(wire: Wire, errorCode: number): void {
  const row = { name: CHANGELOG, errorMessage: null, configs: null };
  const answer = () => ({ topics: [{ ...row, errorCode }] });
  void wire.next(createTopics, answering(createTopics, answer));
}

test('without the right to create topics a changelog that was deleted is still named', async () => {
  await processed(counting(), ROWS);
  drop(CHANGELOG);
  const wire = lab.wire();
  refuseCreation(wire, KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED);
  expect(await refusalOf(counting(), wire)).toMatchObject({ code: 'CHANGELOG_MISSING' });
});

test('a controller that has just changed is asked again', async () => {
  await processed(counting(), ROWS);
  drop(CHANGELOG);
  const wire = lab.wire();
  refuseCreation(wire, KafkaErrorCode.NOT_CONTROLLER);
  expect(await refusalOf(counting(), wire)).toMatchObject({ code: 'CHANGELOG_MISSING' });
  expect(wire.bodies(createTopics).map(({ validateOnly }) => validateOnly)).toEqual([true, true]);
});

test('offsets that a transaction holds are a sign that the application has run', async () => {
  const wire = lab.wire();
  wire.between = async (passage, pass) => {
    if (passage.request.apiKey !== offsetFetch.key) return pass();
    return unstable(passage, pass);
  };
  const cluster = new Cluster({
    transport: wire,
    ports: steadyPorts,
    log: silentLog,
    requestTimeoutMs: 100,
  });
  await cluster.start();
  const planning = planApplication(
    counting().build(),
    cluster,
    resolveOptions({ applicationId: 'app' }),
  );
  await expect(planning).rejects.toMatchObject({ code: 'CHANGELOG_MISSING' });
  await cluster.close();
});

test('a task without a store that finds no offset begins where a new one begins', async () => {
  await processed(copying(), [['a', 'x']]);
  lab.broker.groups.forgetTopic('in');
  await lab.start(copying(), lab.wire());
  await lab.reached(1);
  expect(await lab.committed('out', asText)).toEqual(['a=x', 'a=x']);
});
