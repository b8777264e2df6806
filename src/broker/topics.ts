/**
 * The topics of the broker: creation, deletion, settings and their partitions.
 *
 * I1. A re-created topic has a new id and new, empty partitions (rule 21).
 * I2. Settings hold only what was given; what was not has Kafka's default (`topic-configs.ts`).
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { Randomness } from '../ports.ts';
import { type CleanupPolicy, Partition } from './partition.ts';
import { configOf, faultOfConfigs } from './topic-configs.ts';

/** Of a request or an answer that names a topic otherwise. */
export const NO_TOPIC_ID = '0'.repeat(32);
const PARTITIONS_MAX = 10_000;

export interface Topic {
  readonly name: string;
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly partitions: readonly Partition[];
  readonly configs: ReadonlyMap<string, string>;
  readonly batchBytesMax: number;
  readonly keys: 'required' | 'optional';
  readonly timestampAfterMaxMs: number;
  /** `min.insync.replicas`. */
  readonly replicasMin: number;
}

export interface TopicSpec {
  readonly name: string;
  /** -1: the broker's default. */
  readonly partitions: number;
  readonly replicationFactor: number;
  /** Explicit replicas by partition; their count is the number of partitions. */
  readonly assignments: readonly (readonly number[])[];
  readonly configs: readonly { readonly name: string; readonly value: string | null }[];
}

export interface Fault {
  readonly errorCode: number;
  readonly message: string;
}

const TOO_MANY: Fault = {
  errorCode: KafkaErrorCode.POLICY_VIOLATION,
  message: `Excessively large number of partitions per request: the most is ${PARTITIONS_MAX}.`,
};

export class Topics {
  readonly #topics = new Map<string, Topic>();
  readonly #nodes: number;
  readonly #partitionsDefault: number;
  readonly #timestampAfterMaxMs: number;
  readonly #random: Randomness;

  constructor(options: {
    nodes: number;
    partitionsDefault: number;
    /** `log.message.timestamp.after.max.ms`: where a topic has no setting of its own. */
    timestampAfterMaxMs: number;
    random: Randomness;
  }) {
    this.#nodes = options.nodes;
    this.#partitionsDefault = options.partitionsDefault;
    this.#timestampAfterMaxMs = options.timestampAfterMaxMs;
    this.#random = options.random;
  }

  find(name: string): Topic | undefined {
    return this.#topics.get(name);
  }

  findById(id: string): Topic | undefined {
    for (const topic of this.#topics.values()) if (topic.id === id) return topic;
    return undefined;
  }

  partition(name: string, index: number): Partition | undefined {
    return this.#topics.get(name)?.partitions[index];
  }

  all(): Topic[] {
    return [...this.#topics.values()];
  }

  /** Why a topic cannot be created, or null: the first reason in the order of Kafka's controller. */
  fault(spec: TopicSpec): Fault | null {
    return (
      this.#faultOfName(spec.name) ??
      faultOf(spec.configs) ??
      (spec.assignments.length > 0 ? this.#faultOfAssignments(spec) : this.#faultOfCounts(spec))
    );
  }

  create(spec: TopicSpec): Topic {
    const topic = this.plan(spec);
    this.#topics.set(spec.name, topic);
    return topic;
  }

  /** The topic that `create` would make. */
  plan(spec: TopicSpec): Topic {
    const configs = settingsOf(spec.configs);
    const count =
      spec.assignments.length ||
      (spec.partitions === -1 ? this.#partitionsDefault : spec.partitions);
    const partitions = Array.from({ length: count }, (_, index) => {
      const replicas = spec.assignments[index] ?? this.#replicasOf(index, spec.replicationFactor);
      return new Partition({ topic: spec.name, index, replicas });
    });
    const id = this.#random.bytes(16).toString('hex');
    return { name: spec.name, id, partitions, configs, ...this.#ruledBy(configs) };
  }

  /** Why a topic cannot have `count` partitions, or null; `assignments` are those of the new ones. */
  faultOfIncrease(
    name: string,
    count: number,
    assignments: readonly (readonly number[])[] | null,
  ): Fault | null {
    const present = this.#topics.get(name)?.partitions.length;
    if (present === undefined) {
      const message = 'This server does not host this topic-partition.';
      return fault(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message);
    }
    if (count <= present) {
      const message = `Topic ${name} has ${present} partition(s); ${count} would not be an increase.`;
      return fault(KafkaErrorCode.INVALID_PARTITIONS, message);
    }
    if (count - present > PARTITIONS_MAX) return TOO_MANY;
    if (assignments === null) return null;
    if (assignments.length !== count - present) {
      const message = `${count - present} partition(s) to add, but ${assignments.length} assignment(s)`;
      return fault(KafkaErrorCode.INVALID_REPLICA_ASSIGNMENT, message);
    }
    return this.#faultOfReplicas(assignments);
  }

  /** Adds partitions up to `count`; what there is keeps its records. */
  increase(name: string, count: number, assignments: readonly (readonly number[])[] | null): void {
    const topic = this.#topics.get(name)!;
    const present = topic.partitions.length;
    const factor = topic.partitions[0]!.replicas.length;
    const added = Array.from({ length: count - present }, (_, step) => {
      const index = present + step;
      const replicas = assignments?.[step] ?? this.#replicasOf(index, factor);
      return new Partition({ topic: name, index, replicas });
    });
    this.#topics.set(name, { ...topic, partitions: [...topic.partitions, ...added] });
  }

  /** Replaces the settings, which were checked. */
  configure(name: string, configs: ReadonlyMap<string, string>): void {
    const topic = this.#topics.get(name)!;
    this.#topics.set(name, { ...topic, configs, ...this.#ruledBy(configs) });
  }

  /** Fetches that wait on the topic are woken and find it gone. */
  delete(name: string): 'deleted' | 'unknown' {
    const topic = this.#topics.get(name);
    if (topic === undefined) return 'unknown';
    this.#topics.delete(name);
    for (const partition of topic.partitions) partition.log.announce();
    return 'deleted';
  }

  /** What an append asks of the settings, read once. */
  #ruledBy(
    configs: ReadonlyMap<string, string>,
  ): Pick<Topic, 'batchBytesMax' | 'timestampAfterMaxMs' | 'keys' | 'replicasMin'> {
    return {
      batchBytesMax: Number(configOf(configs, 'max.message.bytes')),
      timestampAfterMaxMs: Number(
        configs.get('message.timestamp.after.max.ms') ?? this.#timestampAfterMaxMs,
      ),
      keys: configOf(configs, 'cleanup.policy').includes('compact') ? 'required' : 'optional',
      replicasMin: Number(configOf(configs, 'min.insync.replicas')),
    };
  }

  #replicasOf(index: number, replicationFactor: number): number[] {
    const count = Math.max(1, replicationFactor);
    return Array.from({ length: count }, (_, step) => (index + step) % this.#nodes);
  }

  #faultOfName(name: string): Fault | null {
    if (!/^[a-zA-Z0-9._-]{1,249}$/.test(name) || /^\.{1,2}$/.test(name)) {
      const message = `Topic name is invalid: ${name}`;
      return fault(KafkaErrorCode.INVALID_TOPIC_EXCEPTION, message);
    }
    if (this.#topics.has(name)) {
      return fault(KafkaErrorCode.TOPIC_ALREADY_EXISTS, `Topic '${name}' already exists.`);
    }
    // Metrics have one letter for both.
    const unified = name.replaceAll('.', '_');
    const rival = this.all().find((topic) => topic.name.replaceAll('.', '_') === unified);
    if (rival === undefined) return null;
    const message = `Topic '${name}' collides with existing topic: ${rival.name}`;
    return fault(KafkaErrorCode.INVALID_TOPIC_EXCEPTION, message);
  }

  #faultOfAssignments(spec: TopicSpec): Fault | null {
    if (spec.replicationFactor !== -1 || spec.partitions !== -1) {
      const message = 'A manual partition assignment comes with -1 partitions and replicas.';
      return fault(KafkaErrorCode.INVALID_REQUEST, message);
    }
    return this.#faultOfReplicas(spec.assignments);
  }

  #faultOfReplicas(assignments: readonly (readonly number[])[]): Fault | null {
    for (const replicas of assignments) {
      const unknown = replicas.find((node) => node < 0 || node >= this.#nodes);
      const isEqual = replicas.length === assignments[0]!.length;
      const isDistinct = new Set(replicas).size === replicas.length;
      if (replicas.length > 0 && unknown === undefined && isDistinct && isEqual) continue;
      const message = `The manual partition assignment [${replicas}] does not fit the nodes`;
      return fault(KafkaErrorCode.INVALID_REPLICA_ASSIGNMENT, message);
    }
    return null;
  }

  #faultOfCounts({ partitions, replicationFactor }: TopicSpec): Fault | null {
    if (replicationFactor === 0 || replicationFactor < -1) {
      const message = 'Replication factor must be larger than 0, or -1 to use the default value.';
      return fault(KafkaErrorCode.INVALID_REPLICATION_FACTOR, message);
    }
    if (partitions === 0 || partitions < -1) {
      const message = `Number of partitions was set to an invalid non-positive value: ${partitions}`;
      return fault(KafkaErrorCode.INVALID_PARTITIONS, message);
    }
    if (partitions > PARTITIONS_MAX) return TOO_MANY;
    if (replicationFactor <= this.#nodes) return null;
    const message = `Unable to replicate the partition ${replicationFactor} time(s): there are ${this.#nodes} node(s).`;
    return fault(KafkaErrorCode.INVALID_REPLICATION_FACTOR, message);
  }
}

type GivenConfigs = TopicSpec['configs'];

function faultOf(configs: GivenConfigs): Fault | null {
  const empty = configs.filter(({ value }) => value === null).map(({ name }) => name);
  const message =
    empty.length > 0
      ? `Null value not supported for topic configs: ${empty.join(',')}`
      : faultOfConfigs(settingsOf(configs));
  return message === null ? null : fault(KafkaErrorCode.INVALID_CONFIG, message);
}

function settingsOf(configs: GivenConfigs): ReadonlyMap<string, string> {
  return new Map(configs.map(({ name, value }) => [name, value ?? '']));
}

export function policyOf({ configs }: Topic, producerIdExpirationMs: number): CleanupPolicy {
  const policies = configOf(configs, 'cleanup.policy').split(',');
  const number = (name: string) => Number(configOf(configs, name));
  return {
    deletes: policies.some((policy) => policy.trim() === 'delete'),
    retentionMs: number('retention.ms'),
    retentionBytes: number('retention.bytes'),
    compacts: policies.some((policy) => policy.trim() === 'compact'),
    deleteRetentionMs: number('delete.retention.ms'),
    compactionLagMs: number('min.compaction.lag.ms'),
    producerIdExpirationMs,
  };
}

function fault(errorCode: number, message: string): Fault {
  return { errorCode, message };
}
