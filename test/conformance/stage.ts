/**
 * What one case works with: a target, connections and names of its own, and producers that know
 * their identity. Everything is closed when the case ends.
 */
import {
  Client,
  type Membership,
  type OffsetEntry,
  type Producer,
  TRANSACTION_VERSIONS,
} from './client.ts';
import { type JoinOptions, Member } from './member.ts';
import type { Kafka, Target, TransactionState } from './target.ts';

const WAIT_MS = 60_000;
const PAUSE_MS = 3;

/** Answers that pass by themselves: what is asked again until something definite comes. */
const TRANSIENT = new Set([
  'CONCURRENT_TRANSACTIONS',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
  'NOT_LEADER_OR_FOLLOWER',
  'NOT_ENOUGH_REPLICAS',
  'LEADER_NOT_AVAILABLE',
]);

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until `look` gives what `holds` accepts and returns it; fails with the last it gave. */
export async function until<T>(look: () => Promise<T>, holds: (seen: T) => boolean): Promise<T> {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (Date.now() > deadline) throw new Error(`after ${WAIT_MS} ms: ${JSON.stringify(seen)}`);
    await pause(PAUSE_MS);
  }
}

/** Repeats while the answer is one that passes by itself. */
export function definite<T extends string | { readonly error: string }>(
  call: () => Promise<T>,
): Promise<T> {
  return until(call, (seen) => !TRANSIENT.has(typeof seen === 'string' ? seen : seen.error));
}

/**
 * What a client that does not know TRANSACTION_ABORTABLE is told. Kafka 4 asks its coordinator for
 * several producers at once, and now and then answers all of them with what the newest one knows.
 */
export const ABORTABLE_OF_OLD: Readonly<Record<Kafka, readonly string[]>> = {
  '3.9': ['INVALID_TXN_STATE'],
  '4.3': ['INVALID_TXN_STATE', 'TRANSACTION_ABORTABLE'],
};

let counter = 0;
/** Names of this run: real brokers keep those of earlier ones. */
const run = Date.now().toString(36);

export class Stage {
  readonly target: Target;
  readonly client: Client;
  readonly #clients: Client[] = [];
  #witness: { readonly producer: TransactionalProducer; readonly group: string } | null = null;
  #witnessed = 0;

  private constructor(target: Target, client: Client) {
    this.target = target;
    this.client = client;
    this.#clients.push(client);
  }

  static async open(target: Target): Promise<Stage> {
    return new Stage(target, await Client.open(target.address));
  }

  get kafka(): Kafka {
    return this.target.kafka;
  }

  /** For the rare answer that differs between Kafka's versions. */
  by<T>(answers: Readonly<Record<Kafka, T>>): T {
    return answers[this.target.kafka];
  }

  name(what: string): string {
    counter += 1;
    return `${what}-${run}-${counter}`;
  }

  /** A further connection. */
  async connect(): Promise<Client> {
    const client = await Client.open(this.target.address);
    this.#clients.push(client);
    return client;
  }

  async topic(partitions = 1, configs: Readonly<Record<string, string>> = {}): Promise<string> {
    const name = this.name('topic');
    const error = await this.client.createTopic(name, partitions, configs);
    if (error !== 'NONE') throw new Error(`topic ${name}: ${error}`);
    await this.served(name, partitions);
    return name;
  }

  /**
   * Waits until the broker has every partition: the controller has a topic earlier, and Kafka up to
   * 4 never answers its own marker request when a partition of it is not there yet.
   */
  async served(topic: string, partitions: number): Promise<void> {
    for (let partition = 0; partition < partitions; partition++) {
      await definite(async () => {
        const { error } = await this.client.listOffset(topic, partition);
        return error === 'UNKNOWN_TOPIC_OR_PARTITION' ? 'LEADER_NOT_AVAILABLE' : error;
      });
    }
  }

  /** A transactional producer, initialised. */
  async producer(
    options: {
      transactionalId?: string;
      protocol?: 'v1' | 'v2';
      timeoutMs?: number;
      client?: Client;
    } = {},
  ): Promise<TransactionalProducer> {
    const { protocol = 'v1', client = this.client, timeoutMs } = options;
    const transactionalId = options.transactionalId ?? this.name('txn');
    const producer = new TransactionalProducer({ stage: this, client, transactionalId, protocol });
    await producer.init({ timeoutMs });
    return producer;
  }

  /** The id of an idempotent producer: a broker that has none left asks its controller for more. */
  async producerId(): Promise<number> {
    const got = await definite(() => this.client.init(null));
    if (got.error !== 'NONE') throw new Error(`InitProducerId: ${got.error}`);
    return got.producerId;
  }

  /** A producer whose transaction, one record `a` on a topic, was aborted for running too long. */
  async expired(): Promise<{ topic: string; producer: TransactionalProducer }> {
    // A busy machine may let the first one expire before its record is written.
    for (let timeoutMs = 200; ; timeoutMs *= 4) {
      const topic = await this.topic();
      const producer = await this.producer({ timeoutMs });
      const added = await producer.add(topic);
      const { error } = await producer.writeAt(topic, 0, ['a']);
      const { state } = await until(
        () => this.state(producer.transactionalId),
        (seen) => seen.state === 'CompleteAbort' || seen.state === 'Empty',
      );
      if (added === 'NONE' && error === 'NONE' && state === 'CompleteAbort') {
        return { topic, producer };
      }
    }
  }

  /** A member with a connection of its own; it has not joined yet. */
  async member(groupId: string, options: JoinOptions = {}): Promise<Member> {
    return new Member(await this.connect(), groupId, options);
  }

  /** Waits until the coordinator has no transaction of this id under way or half ended. */
  settled(transactionalId: string): Promise<TransactionState> {
    return until(
      () => this.target.describe(transactionalId),
      ({ state }) => !state.startsWith('Prepare'),
    );
  }

  state(transactionalId: string): Promise<TransactionState> {
    return this.target.describe(transactionalId);
  }

  /** The committed offset once no transaction holds it. */
  async stable(groupId: string, topic: string, partition = 0): Promise<number> {
    const found = await until(
      () => this.client.committed(groupId, topic, { partition }),
      ({ error }) => error !== 'UNSTABLE_OFFSET_COMMIT',
    );
    if (found.error !== 'NONE') throw new Error(`OffsetFetch: ${found.error}`);
    return found.offset;
  }

  /**
   * Waits until the group coordinator has applied what transactions that are settled committed or
   * aborted, where no offset tells. Kafka 3.9 leaves that to one thread, which takes one after the
   * other: the transaction that this one ends is the last of them.
   */
  async applied(topic: string): Promise<void> {
    this.#witness ??= { producer: await this.producer(), group: this.name('witness') };
    const { producer, group } = this.#witness;
    this.#witnessed += 1;
    await producer.sendOffset(group, { topic, offset: this.#witnessed });
    await producer.finish('commit');
    const found = await this.stable(group, topic);
    if (found !== this.#witnessed) throw new Error(`the witness committed ${found}`);
  }

  close(): void {
    for (const client of this.#clients) client.connection.close();
  }
}

export class TransactionalProducer implements Producer {
  readonly transactionalId: string;
  producerId = -1;
  producerEpoch = -1;
  readonly #stage: Stage;
  readonly #client: Client;
  readonly #versions: (typeof TRANSACTION_VERSIONS)['v1' | 'v2'];
  readonly #sequences = new Map<string, number>();

  constructor(options: {
    stage: Stage;
    client: Client;
    transactionalId: string;
    protocol: 'v1' | 'v2';
  }) {
    this.transactionalId = options.transactionalId;
    this.#stage = options.stage;
    this.#client = options.client;
    this.#versions = TRANSACTION_VERSIONS[options.protocol];
  }

  /** The identity that it has now, to be kept while it moves on. */
  get identity(): Producer {
    return { producerId: this.producerId, producerEpoch: this.producerEpoch };
  }

  async init(
    options: { expected?: Producer; timeoutMs?: number | undefined } = {},
  ): Promise<string> {
    const version = this.#versions.init;
    const got = await definite(() =>
      this.#client.init(this.transactionalId, { ...options, version }),
    );
    if (got.error === 'NONE') this.#become(got);
    return got.error;
  }

  add(topic: string, partition = 0): Promise<string> {
    return definite(() => this.#client.addPartition(this.transactionalId, this, topic, partition));
  }

  /** One batch with the next sequence of the partition. */
  async write(topic: string, values: readonly string[], partition = 0): Promise<number> {
    const key = `${topic}/${partition}`;
    const sequence = this.#sequences.get(key) ?? 0;
    const answer = await this.writeAt(topic, sequence, values, partition);
    if (answer.error !== 'NONE') throw new Error(`Produce to ${key}: ${answer.error}`);
    this.#sequences.set(key, (sequence + values.length) % 2 ** 31);
    return answer.baseOffset;
  }

  /** One batch with a sequence of the caller's; answers that pass are asked again. */
  writeAt(topic: string, sequence: number, values: readonly string[], partition = 0) {
    const records = {
      values,
      sequence,
      producerId: this.producerId,
      epoch: this.producerEpoch,
      transactional: 'transactional',
    } as const;
    const { transactionalId } = this;
    const version = this.#versions.produce;
    return definite(() =>
      this.#client.produce(topic, partition, records, { transactionalId, version }),
    );
  }

  /** Adds the partition and writes. */
  async send(topic: string, values: readonly string[], partition = 0): Promise<number> {
    if (this.#versions === TRANSACTION_VERSIONS.v1) expectNone(await this.add(topic, partition));
    return this.write(topic, values, partition);
  }

  addOffsets(groupId: string): Promise<string> {
    return definite(() =>
      this.#client.addOffsets(this.transactionalId, this, groupId, this.#versions.addOffsets),
    );
  }

  commitOffset(groupId: string, entry: OffsetEntry, membership: Membership = {}): Promise<string> {
    const version = this.#versions.commitOffsets;
    return definite(() =>
      this.#client.commitOffsetIn(this.transactionalId, this, groupId, entry, {
        ...membership,
        version,
      }),
    );
  }

  /** Adds the offsets of the group and commits one. */
  async sendOffset(groupId: string, entry: OffsetEntry): Promise<void> {
    if (this.#versions === TRANSACTION_VERSIONS.v1) expectNone(await this.addOffsets(groupId));
    expectNone(await this.commitOffset(groupId, entry));
  }

  async end(result: 'commit' | 'abort'): Promise<string> {
    const answer = await definite(() =>
      this.#client.end(this.transactionalId, this, result, this.#versions.end),
    );
    if (answer.error === 'NONE' && this.#versions.end >= 5) this.#become(answer);
    return answer.error;
  }

  /** Ends and waits until the markers are written. */
  async finish(result: 'commit' | 'abort'): Promise<void> {
    expectNone(await this.end(result));
    await this.#stage.settled(this.transactionalId);
  }

  #become({ producerId, producerEpoch }: Producer): void {
    if (producerId === this.producerId && producerEpoch === this.producerEpoch) return;
    this.producerId = producerId;
    this.producerEpoch = producerEpoch;
    this.#sequences.clear();
  }
}

function expectNone(error: string): void {
  if (error !== 'NONE') throw new Error(error);
}
