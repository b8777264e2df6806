/** The launcher's dealings with the cluster: topics, input records, committed offsets. kafkajs does them. */
import { type Admin, Kafka, type KafkaJSDeleteGroupsError, logLevel, type Producer } from 'kafkajs';
import { addressesOf, firstAnswer } from './bootstrap.ts';
import { leaveGroup } from './leave-group.ts';
import { requestOnce } from './one-request.ts';
import { UsageError } from './options.ts';

export const TOPICS = ['usage-events', 'invoices', 'usage-late', 'usage-dead'] as const;
export const INPUT = 'usage-events';
export const PARTITIONS = 3;
export const APPLICATION_ID = 'billing';

/** One record to write; the partition is given, so that nothing is partitioned twice. */
export interface InputRecord {
  readonly partition: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly timestamp: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Retention goes by event time, and the events of a run may be of any time. */
const KEEP_OLD_EVENTS = [{ name: 'retention.ms', value: '-1' }];

const SEND_RECORDS_MAX = 2_000;
/** Two minutes: a broker that is restarted on a busy machine. */
const RETRY = { initialRetryTime: 50, maxRetryTime: 500, retries: 240 };
const API_VERSIONS = { apiKey: 18, version: 0 };
const REACH_TIMEOUT_MS = 10_000;
const LED_TIMEOUT_MS = 30_000;
/** Longer than the session of a billing process. */
const GROUP_TIMEOUT_MS = 25_000;
const POLL_MS = 100;
/** It is loading, or has not been chosen yet: the first group of a broker. */
const NO_COORDINATOR = [14, 15, 16];
const NON_EMPTY_GROUP = 68;
const GROUP_ID_NOT_FOUND = 69;

export class BillingCluster {
  readonly #bootstrap: string;
  readonly #admin: Admin;
  readonly #producer: Producer;
  /** Writes that wait for their answer. */
  readonly #sends = new Set<Promise<unknown>>();
  /** From the deletion of the topics until they are prepared again. */
  #isOver = false;
  /** Records written to each input partition. */
  readonly written: number[] = new Array(PARTITIONS).fill(0);

  constructor(bootstrap: string) {
    this.#bootstrap = bootstrap;
    const kafka = new Kafka({
      clientId: 'billing-launcher',
      brokers: addressesOf(bootstrap),
      logLevel: logLevel.NOTHING,
      retry: RETRY,
    });
    this.#admin = kafka.admin({ retry: RETRY });
    this.#producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  }

  async connect(): Promise<void> {
    await assertReachable(this.#bootstrap);
    await this.#admin.connect();
    await this.#producer.connect();
  }

  async close(): Promise<void> {
    await this.#producer.disconnect();
    await this.#admin.disconnect();
  }

  /** Creates the topics; refuses what an earlier run or somebody else left. */
  async prepareTopics(): Promise<void> {
    const existing = new Set(await this.#admin.listTopics());
    const group = await this.#committed();
    const problems: string[] = [];
    if (group.some((offset) => offset >= 0)) {
      problems.push(`the group '${APPLICATION_ID}' has committed offsets`);
    }
    for (const topic of [...existing].filter(isOfThisRun)) {
      const offsets = await this.#admin.fetchTopicOffsets(topic);
      if (isFixed(topic) && offsets.length !== PARTITIONS) {
        problems.push(`topic '${topic}' has ${offsets.length} partitions instead of ${PARTITIONS}`);
      } else if (offsets.some(({ high }) => high !== '0')) {
        problems.push(`topic '${topic}' is not empty`);
      }
    }
    if (problems.length > 0) {
      throw new UsageError(
        `On ${this.#bootstrap}: ${problems.join('; ')}. Delete these topics and the group ` +
          `'${APPLICATION_ID}', or use another broker.`,
      );
    }
    const missing = TOPICS.filter((topic) => !existing.has(topic));
    await this.#admin.createTopics({
      waitForLeaders: false,
      topics: missing.map((topic) => ({
        topic,
        numPartitions: PARTITIONS,
        configEntries: KEEP_OLD_EVENTS,
      })),
    });
    await this.#untilLed();
    this.#isOver = false;
  }

  /**
   * Waits until every partition has a leader. kafkajs gives up when a broker has not yet heard of a
   * topic that the controller has made.
   */
  async #untilLed(): Promise<void> {
    const deadline = Date.now() + LED_TIMEOUT_MS;
    for (;;) {
      const led = await this.#admin.fetchTopicMetadata({ topics: [...TOPICS] }).then(
        ({ topics }) =>
          topics.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0)),
        (error: unknown) => error as Error,
      );
      if (led === true) return;
      if (Date.now() > deadline) {
        throw new Error(`the new topics have no leaders after ${LED_TIMEOUT_MS / 1000} s`, {
          cause: led,
        });
      }
      await pause();
    }
  }

  /**
   * Deletes what the run made, the application's internal topics and its group included. The
   * processes have ended; killed ones are still members.
   */
  async removeAll(instanceIds: readonly string[]): Promise<void> {
    // A write of a run that was interrupted would make the brokers create its topic anew.
    this.#isOver = true;
    await Promise.allSettled(this.#sends);
    const topics = (await this.#admin.listTopics()).filter(isOfThisRun);
    if (topics.length > 0) await this.#admin.deleteTopics({ topics });
    const deadline = Date.now() + GROUP_TIMEOUT_MS;
    for (;;) {
      const outcome = await this.#deleteGroup();
      if (outcome === 'gone') return;
      if (outcome === 'has members') {
        await leaveGroup(this.#bootstrap, APPLICATION_ID, instanceIds);
      }
      if (Date.now() > deadline) {
        throw new Error(`the group '${APPLICATION_ID}' ${outcome} and was not deleted`);
      }
      await pause();
    }
  }

  async #deleteGroup(): Promise<'gone' | 'has members' | 'has no coordinator'> {
    try {
      await this.#admin.deleteGroups([APPLICATION_ID]);
      return 'gone';
    } catch (error) {
      const code = (error as Partial<KafkaJSDeleteGroupsError>).groups?.[0]?.errorCode;
      if (code === GROUP_ID_NOT_FOUND) return 'gone';
      if (code === NON_EMPTY_GROUP) return 'has members';
      if (NO_COORDINATOR.includes(code ?? 0)) return 'has no coordinator';
      throw error;
    }
  }

  /** Writes in order within each partition. */
  async write(records: readonly InputRecord[]): Promise<void> {
    const partitions = Array.from({ length: PARTITIONS }, (_, partition) =>
      records.filter((record) => record.partition === partition),
    );
    await Promise.all(partitions.map((its, partition) => this.#writeTo(partition, its)));
  }

  /**
   * One partition a call: kafkajs repeats a call of several brokers wrongly when one of them fails
   * (a partition that moved to a broker that has answered is left out; tulios/kafkajs #1303).
   */
  async #writeTo(partition: number, records: readonly InputRecord[]): Promise<void> {
    for (let from = 0; from < records.length; from += SEND_RECORDS_MAX) {
      if (this.#isOver) throw new Error('the topics of the run are being deleted');
      const chunk = records.slice(from, from + SEND_RECORDS_MAX);
      const sent = this.#producer.send({
        topic: INPUT,
        acks: -1,
        messages: chunk.map(({ key, value, timestamp, headers }) => ({
          partition,
          key,
          value,
          timestamp: String(timestamp),
          ...(headers === undefined ? {} : { headers }),
        })),
      });
      this.#sends.add(sent);
      await sent.finally(() => this.#sends.delete(sent));
      this.written[partition]! += chunk.length;
    }
  }

  /** Records of the input that committed steps have read. */
  async progress(): Promise<number> {
    return (await this.#committed()).reduce((sum, offset) => sum + Math.max(0, offset), 0);
  }

  /** Whether every written record was read by a committed step. */
  async isDrained(): Promise<boolean> {
    const committed = await this.#committed();
    return committed.every((offset, partition) => offset >= this.written[partition]!);
  }

  async #committed(): Promise<number[]> {
    const [input] = await this.#admin
      .fetchOffsets({ groupId: APPLICATION_ID, topics: [INPUT] })
      .catch(() => []);
    const offsets = new Array<number>(PARTITIONS).fill(-1);
    for (const { partition, offset } of input?.partitions ?? []) {
      if (partition < PARTITIONS) offsets[partition] = Number(offset);
    }
    return offsets;
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

function isFixed(topic: string): boolean {
  return (TOPICS as readonly string[]).includes(topic);
}

function isOfThisRun(topic: string): boolean {
  return isFixed(topic) || topic.startsWith(`${APPLICATION_ID}-`);
}

/** kafkajs would retry for long; a wrong address is said at once. */
async function assertReachable(bootstrap: string): Promise<void> {
  const question = { ...API_VERSIONS, body: [], timeoutMs: REACH_TIMEOUT_MS };
  try {
    await firstAnswer(bootstrap, (address) => requestOnce(address, question));
  } catch (cause) {
    throw new UsageError(
      `No Kafka broker answers at ${bootstrap} (${(cause as Error).message}): start one there, or ` +
        `leave --broker away to use the embedded broker.`,
      { cause },
    );
  }
}
