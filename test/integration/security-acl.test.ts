/**
 * Rights: the documented ones suffice for an application that does everything, and without any one
 * of them it ends with an error that names it, and does not ask again.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  count,
  EscapementError,
  long,
  repartition,
  run,
  selectKey,
  string,
  to,
  topology,
} from '../../src/index.ts';
import { APIS } from '../../src/kafka/protocol/apis.ts';
import { decodeResponse } from '../../src/kafka/protocol/codec.ts';
import { kafkajsTransport } from '../../src/kafka/transport/kafkajs.ts';
import type { Transport, TransportRequest } from '../../src/kafka/transport/transport.ts';
import { systemPorts } from '../../src/ports.ts';
import type { Application } from '../../src/run.ts';
import { type Log, silentLog } from '../../src/telemetry/log.ts';
import { readTopic } from '../../topologies/billing/raw-log.ts';
import { createTopics } from '../topics.ts';
import { describeReal } from './real/parts.ts';
import { writeRows } from './real/producer.ts';
import { documentedRights, grant, type Right, revoke } from './real/rights.ts';
import { PASSWORD, type SecureKafka, startSecureKafka, USER } from './real/secure-kafka.ts';

const text = string();

/** Counts by key behind a repartition: every kind of topic and right is used. */
function counting(input: string, output: string) {
  const app = topology('rights');
  app.stream(input, { key: text, value: text }).pipe(
    selectKey((record) => record.value),
    repartition({ name: 'by-word', key: text, value: text }),
    count({ name: 'counts', key: text }),
    to(output, { key: text, value: long() }),
  );
  return app;
}

const REFUSALS = /rrorCode":(29|30|31|53)\b/;

/** Counts the requests by name, and answers that refuse one for lack of a right. */
class CountingTransport implements Transport {
  readonly sent: string[] = [];
  refused = 0;
  readonly #under: Transport;

  constructor(under: Transport) {
    this.#under = under;
  }

  async request(node: number | 'any', request: TransportRequest): Promise<Buffer> {
    const api = APIS.get(request.apiKey)!;
    this.sent.push(api.name);
    const answer = await this.#under.request(node, request);
    const told = JSON.stringify(decodeResponse(api, request.apiVersion, answer));
    if (REFUSALS.test(told)) this.refused++;
    return answer;
  }

  learn(nodes: Parameters<Transport['learn']>[0]): void {
    this.#under.learn(nodes);
  }

  close(): Promise<void> {
    return this.#under.close();
  }
}

interface Case {
  /** Taken away: operation on resource. */
  readonly without: readonly [operation: string, resource: Right['resource'], of: Target];
  /** `Describe`, which went with it, is left. */
  readonly left?: 'Describe';
  readonly refused: string;
  readonly needs: RegExp;
}
type Target = 'in' | 'out' | 'internal' | 'group' | 'ids';

const CASES: readonly Case[] = [
  { without: ['Read', 'Topic', 'in'], refused: 'Metadata', needs: /Describe on topic '.*-in'/ },
  {
    without: ['Read', 'Topic', 'in'],
    left: 'Describe',
    refused: 'TxnOffsetCommit',
    needs: /Read on topic '.*-in'/,
  },
  { without: ['Write', 'Topic', 'out'], refused: 'Metadata', needs: /Describe on topic '.*-out'/ },
  {
    without: ['Write', 'Topic', 'out'],
    left: 'Describe',
    refused: 'AddPartitionsToTxn|Produce',
    needs: /Write on topic '.*-out'/,
  },
  {
    without: ['Create', 'Topic', 'internal'],
    refused: 'CreateTopics',
    needs: /Create on topic '.*-changelog|-repartition'/,
  },
  {
    without: ['DescribeConfigs', 'Topic', 'internal'],
    refused: 'DescribeConfigs',
    needs: /DescribeConfigs on topic '.*-(changelog|repartition)'/,
  },
  {
    without: ['Read', 'Topic', 'internal'],
    refused: 'Fetch|TxnOffsetCommit',
    needs: /Read on topic '.*-(changelog|repartition)'/,
  },
  {
    without: ['Write', 'Topic', 'internal'],
    refused: 'AddPartitionsToTxn|Produce',
    needs: /Write on topic '.*-(changelog|repartition)'/,
  },
  {
    without: ['Read', 'Group', 'group'],
    refused: 'FindCoordinator',
    needs: /Describe on group '.*-app'/,
  },
  {
    without: ['Read', 'Group', 'group'],
    left: 'Describe',
    refused: 'JoinGroup',
    needs: /Read on group '.*-app'/,
  },
  {
    without: ['Write', 'TransactionalId', 'ids'],
    refused: 'FindCoordinator',
    needs: /Describe on transactional id '.*-app-.*'/,
  },
  {
    without: ['Write', 'TransactionalId', 'ids'],
    left: 'Describe',
    refused: 'InitProducerId',
    needs: /Write on transactional id '.*-app-.*'/,
  },
];

/** Whose right it is. */
const owners = {
  'its output': ({ name }: Right, { output }: { output: string }) => name === output,
  'its input': ({ name }: Right, { input }: { input: string }) => name === input,
  'its group': ({ resource }: Right) => resource === 'Group',
  'its transactional ids': ({ resource }: Right) => resource === 'TransactionalId',
} satisfies Record<string, (right: Right, names: { input: string; output: string }) => boolean>;

/** Each may have a request under way when that of the other is refused; neither asks again. */
const TASKS = 2;
/** The same right may be missing for another request under way, and for the farewell to the group. */
const KINDS = 3;

for (const version of ['3.9.1', '4.3.1'] as const) {
  describeReal(`rights on Kafka ${version}`, () => {
    let broker: SecureKafka;
    let stages = 0;

    beforeAll(async () => {
      broker = await startSecureKafka(version);
    });
    afterAll(() => broker?.stop());

    /** Topics of its own and one record in the input. */
    const stage = async () => {
      stages++;
      const names = {
        applicationId: `s${stages}-app`,
        input: `s${stages}-in`,
        output: `s${stages}-out`,
      };
      const { bootstrap } = broker.kafka;
      await createTopics(
        bootstrap,
        [names.input, names.output].map((topic) => ({ topic, numPartitions: 1 })),
      );
      await writeRows(bootstrap, names.input, [['k', 'tick']]);
      const rights = documentedRights({
        applicationId: names.applicationId,
        inputs: [names.input],
        outputs: [names.output],
      });
      return { ...names, rights };
    };

    const transportOf = (listener: 'secure' | 'bare', log: Log): CountingTransport => {
      const sasl = { username: USER, password: PASSWORD } as const;
      const kafka =
        listener === 'bare'
          ? { brokers: [broker.bare], sasl: { mechanism: 'plain' as const, ...sasl } }
          : {
              brokers: [broker.secure],
              ssl: { ca: [broker.authority.cert] },
              sasl: { mechanism: 'scram-sha-256' as const, ...sasl },
            };
      return new CountingTransport(kafkajsTransport(kafka, { ports: systemPorts, log }));
    };

    const start = (
      { applicationId, input, output }: Awaited<ReturnType<typeof stage>>,
      transport: Transport,
      log: Log = silentLog,
    ): Promise<Application> =>
      run(counting(input, output), {
        applicationId,
        kafka: { transport },
        log,
        signals: 'ignore',
        repartitionPurgeIntervalMs: 1_000,
      });

    const committed = async (topic: string): Promise<number> =>
      (await readTopic(broker.kafka.bootstrap, topic)).reduce(
        (sum, each) => sum + each.committed.length,
        0,
      );

    it('the documented rights suffice for a step over TLS and SCRAM, exactly once, and its purge', async () => {
      const names = await stage();
      await grant(broker.kafka.bootstrap, USER, names.rights);
      const warnings: unknown[] = [];
      const log = {
        ...silentLog,
        warn: (fields: unknown, event: string) => warnings.push([event, fields]),
      };
      const transport = transportOf('secure', log);
      const application = await start(names, transport, log);
      await expect.poll(() => committed(names.output), { timeout: 60_000 }).toBe(1);
      await writeRows(broker.kafka.bootstrap, names.input, [
        ['k', 'tick'],
        ['k', 'tock'],
      ]);
      await expect.poll(() => committed(names.output), { timeout: 60_000 }).toBe(3);
      await expect
        .poll(() => transport.sent.includes('DeleteRecords'), { timeout: 60_000 })
        .toBe(true);
      await application.stop();
      const [partition] = await readTopic(broker.kafka.bootstrap, names.output);
      const rows = partition!.committed.map(
        ({ key, value }) => `${key}=${value!.readBigInt64BE()}`,
      );
      expect(rows).toEqual(['tick=1', 'tick=2', 'tock=1']);
      expect(warnings).toEqual([]);
    });

    const titled = CASES.map((given) => {
      const [operation, , of] = given.without;
      const left = given.left === undefined ? '' : `, with ${given.left} left`;
      return [`without ${operation} on its ${of}${left}`, given] as const;
    });
    it.each(titled)('%s it ends with the name of the right', async (_, given) => {
      const names = await stage();
      const [operation, resource, of] = given.without;
      const target = {
        in: names.input,
        out: names.output,
        internal: `${names.applicationId}-`,
        group: names.applicationId,
        ids: `${names.applicationId}-`,
      }[of];
      const taken = names.rights.find(
        (right) =>
          right.operation === operation && right.resource === resource && right.name === target,
      )!;
      expect(taken).toBeDefined();
      const left = given.left === undefined ? [] : [{ ...taken, operation: given.left }];
      const rights = [...names.rights.filter((right) => right !== taken), ...left];
      await grant(broker.kafka.bootstrap, USER, rights);
      const transport = transportOf('bare', silentLog);
      const error = await endOf(start(names, transport));
      expect(error.message).toMatch(new RegExp(`^(${given.refused}) .* needs `));
      expect(error.message).toMatch(given.needs);
      expect(error).toMatchObject({ code: 'NOT_AUTHORIZED', decision: 'stop' });
      expect(transport.refused).toBeGreaterThan(0);
      expect(transport.refused).toBeLessThanOrEqual(TASKS * KINDS);
      const after = transport.sent.length;
      await systemPorts.timers.sleep(300);
      expect(transport.sent.length).toBe(after);
    });

    it.each([
      ['its output', 'Write', /(Write|Describe) on topic '.*-out'/],
      ['its input', 'Read', /(Read|Describe) on topic '.*-in'/],
      ['its group', 'Read', /(Read|Describe) on group '.*-app'/],
      ['its transactional ids', 'Write', /(Write|Describe) on transactional id '.*-app-.*'/],
    ] as const)('a right on %s taken away while it runs ends it', async (of, operation, needs) => {
      const names = await stage();
      await grant(broker.kafka.bootstrap, USER, names.rights);
      const transport = transportOf('bare', silentLog);
      const application = await start(names, transport);
      await expect.poll(() => committed(names.output), { timeout: 60_000 }).toBe(1);
      const right = names.rights.find(
        (each) => each.operation === operation && owners[of](each, names),
      )!;
      await revoke(broker.kafka.bootstrap, USER, right);
      await writeRows(broker.kafka.bootstrap, names.input, [['k', 'tick']]);
      const error = await endOf(Promise.resolve(application));
      expect(error.code).toBe('NOT_AUTHORIZED');
      expect(error.message).toMatch(/needs /);
      expect(error.message).toMatch(needs);
      expect(await committed(names.output)).toBe(1);
      const sent = transport.sent.length;
      await systemPorts.timers.sleep(300);
      expect(transport.sent.length).toBe(sent);
    });

    it('without Delete on internal topics it runs, and its log names the right', async () => {
      const names = await stage();
      const kept = names.rights.filter(({ operation }) => operation !== 'Delete');
      await grant(broker.kafka.bootstrap, USER, kept);
      const warnings: string[] = [];
      const log = {
        ...silentLog,
        warn: (fields: unknown) => warnings.push(JSON.stringify(fields)),
      };
      const application = await start(names, transportOf('bare', silentLog), log);
      await expect
        .poll(() => warnings.join(), { timeout: 60_000 })
        .toMatch(/needs Delete on topic '.*-by-word-repartition'/);
      await expect.poll(() => committed(names.output), { timeout: 60_000 }).toBe(1);
      await application.stop();
    });
  });
}

/** The error with which an application ended, at its start or later. */
async function endOf(started: Promise<Application>): Promise<EscapementError> {
  try {
    const application = await started;
    await application.stopped();
  } catch (error) {
    expect(error).toBeInstanceOf(EscapementError);
    return error as EscapementError;
  }
  return expect.fail('the application ended without an error');
}
