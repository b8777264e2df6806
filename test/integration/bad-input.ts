/**
 * What a user can get wrong when an application starts: `run` rejects within seconds, with a code to
 * match by and a message that names the mistake and the mend, and nothing keeps running.
 *
 * One body for the embedded broker (`test/run.test.ts`) and for real Kafka.
 */
import { type ITopicConfig, Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TopologyBuilder } from '../../src/dsl/topology.ts';
import {
  count,
  EscapementError,
  type Keyed,
  type KStream,
  long,
  merge,
  type RunOptions,
  run,
  selectKey,
  string,
  to,
  topology,
  tumbling,
  windowedAggregate,
} from '../../src/index.ts';
import { registryAt } from '../../topologies/billing/registry.ts';
import { billing } from '../../topologies/billing/topology.ts';
import type { BrokerUnderTest } from '../exactness/crash-matrix.ts';
import { createTopics } from '../topics.ts';

const text = string();

export function badInput(name: string, start: () => Promise<BrokerUnderTest>): void {
  describe(`on ${name}, run refuses`, () => {
    let broker: BrokerUnderTest;
    let prefix: string;
    beforeAll(async () => {
      broker = await start();
      prefix = `bad-${process.pid}-${Math.floor(performance.now())}`;
    });
    afterAll(() => broker?.close());

    const create = (...topics: ITopicConfig[]): Promise<void> =>
      createTopics(broker.bootstrap, topics);
    const options = (given: Partial<RunOptions> = {}): RunOptions => ({
      applicationId: `${prefix}-app`,
      kafka: { brokers: [broker.bootstrap] },
      signals: 'ignore',
      ...given,
    });

    test('topics that are not there, and names them', async () => {
      const input = `${prefix}-none`;
      const output = `${prefix}-nowhere`;
      const error = await refusal(counting(input, output), options());
      expect(error.code).toBe('TOPIC_MISMATCH');
      expect(error.message).toContain(`${input}, ${output}`);
      expect(error.message).toContain('Create them first');
    });

    test('inputs of one sub-topology with different partition counts', async () => {
      const [three, four, output] = ['three', 'four', 'sum'].map((end) => `${prefix}-${end}`);
      await create(
        { topic: three!, numPartitions: 3 },
        { topic: four!, numPartitions: 4 },
        { topic: output!, numPartitions: 1 },
      );
      const app = topology('merged');
      const other = app.stream(four!, { key: text, value: text });
      app
        .stream(three!, { key: text, value: text })
        .pipe(
          merge(other),
          count({ name: 'counts', key: text }),
          to(output!, { key: text, value: long() }),
        );
      const error = await refusal(app, options());
      expect(error.code).toBe('TOPIC_MISMATCH');
      expect(error.message).toContain(`${three} has 3`);
      expect(error.message).toContain(`${four} has 4`);
      expect(error.message).toMatch(/Create them alike, or put repartition\(\)/);
    });

    test('changelogs with other partitions and policies, all differences at once', async () => {
      const applicationId = `${prefix}-logs`;
      const input = `${prefix}-logs-in`;
      const output = `${prefix}-logs-out`;
      const policy = (value: string) => ({ configEntries: [{ name: 'cleanup.policy', value }] });
      await create(
        { topic: input, numPartitions: 2 },
        { topic: output, numPartitions: 1 },
        { topic: `${applicationId}-counts-changelog`, numPartitions: 5, ...policy('delete') },
        { topic: `${applicationId}-hours-changelog`, numPartitions: 2, ...policy('compact') },
      );
      const app = topology('two-stores');
      const source = app.stream(input, { key: text, value: text });
      source.pipe(count({ name: 'counts', key: text }), to(output, { key: text, value: long() }));
      source.pipe(
        windowedAggregate({
          name: 'hours',
          window: tumbling({ sizeMs: 3_600_000, graceMs: 0 }),
          key: text,
          value: long(),
          init: () => 0,
          add: (sum) => sum + 1,
          emit: 'update',
        }),
        selectKey((record) => record.key.key),
        to(output, { key: text, value: long() }),
      );
      const error = await refusal(app, options({ applicationId }));
      expect(error.code).toBe('TOPIC_MISMATCH');
      const lines = error.message.split('\n').filter((line) => line.startsWith('  - '));
      expect(lines).toHaveLength(3);
      expect(lines[0]).toMatch(/counts-changelog' has 5 partitions, needed are 2/);
      expect(lines[1]).toMatch(/counts-changelog' .*cleanup\.policy 'delete', needed is 'compact'/);
      expect(lines[2]).toMatch(
        /hours-changelog' .*cleanup\.policy 'compact', needed is '.*delete.*'/,
      );
      expect(error.message).toMatch(/Change the topics, or remove/);
    });

    test('a registry that does not answer, and names its URL', async () => {
      const topics = ['usage-events', 'invoices', 'usage-late', 'usage-dead'];
      const existing = await listTopics(broker.bootstrap);
      const missing = topics.filter((topic) => !existing.includes(topic));
      await create(...missing.map((topic) => ({ topic, numPartitions: 3 })));
      const app = billing(registryAt('http://127.0.0.1:1/registry'));
      const error = await refusal(app, options());
      expect(error.code).toBe('REGISTRY_UNAVAILABLE');
      expect(error.message).toContain('http://127.0.0.1:1/registry');
      expect(error.message).toMatch(/Check the URL and that the registry runs/);
      await deleteTopics(broker.bootstrap, [...missing, `${prefix}-app-usage-by-hour-changelog`]);
    });

    test('a topology that keeps state after a key change without repartition', async () => {
      const app = topology('changed-keys');
      const changed = app
        .stream(`${prefix}-in`, { key: text, value: text })
        .pipe(selectKey((record) => record.value));
      // The compiler refuses it; plain JavaScript does not.
      const error = await refusal(app, options(), () =>
        (changed as unknown as KStream<string, string, Keyed>).pipe(
          count({ name: 'counts', key: text }),
          to(`${prefix}-out`, { key: text, value: long() }),
        ),
      );
      expect(error.code).toBe('TOPOLOGY_INVALID');
      expect(error.message).toMatch(/counts.*the key changed above.*put repartition\(/s);
    });

    test('options that do not exist or do not fit, all at once', async () => {
      const given = { commitMs: 5, sessionTimeoutMs: 1, heartbeatIntervalMs: 0.5 };
      const error = await refusal(counting('in', 'out'), options(given as Partial<RunOptions>));
      expect(error.code).toBe('OPTION_INVALID');
      expect(error.message).toMatch(/commitMs is not an option/);
      expect(error.message).toMatch(/sessionTimeoutMs must be .* not 1/);
      expect(error.message).toMatch(/heartbeatIntervalMs must be .* not 0\.5/);
    });

    test('an address where no broker answers, and names it', async () => {
      const kafka = { brokers: ['127.0.0.1:1'] };
      const error = await refusal(counting('in', 'out'), options({ kafka }));
      expect(error.code).toBe('CONNECTION_FAILED');
      expect(error.message).toContain('127.0.0.1:1');
      expect(error.message).toMatch(/is the broker running/i);
    });
  });
}

function counting(input: string, output: string): TopologyBuilder {
  const app = topology('counting');
  app
    .stream(input, { key: text, value: text })
    .pipe(count({ name: 'counts', key: text }), to(output, { key: text, value: long() }));
  return app;
}

/** The error with which drawing or running ends, within seconds. */
async function refusal(
  app: TopologyBuilder,
  options: RunOptions,
  draw: () => void = () => {},
): Promise<EscapementError> {
  try {
    draw();
    const application = await run(app, options);
    await application.stop();
  } catch (error) {
    expect(error).toBeInstanceOf(EscapementError);
    return error as EscapementError;
  }
  return expect.fail('the application started');
}

function adminOf(bootstrap: string) {
  return new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING }).admin();
}

async function listTopics(bootstrap: string): Promise<string[]> {
  const admin = adminOf(bootstrap);
  await admin.connect();
  const topics = await admin.listTopics();
  await admin.disconnect();
  return topics;
}

async function deleteTopics(bootstrap: string, topics: string[]): Promise<void> {
  const admin = adminOf(bootstrap);
  await admin.connect();
  await admin.deleteTopics({ topics });
  await admin.disconnect();
}
