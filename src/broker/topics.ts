/**
 * The topics of the broker: creation, deletion, settings and their partitions.
 *
 * I1. A re-created topic has a new id and new, empty partitions (rule 21).
 * I2. Settings hold only what was given; what was not has Kafka's default (`topic-configs.ts`).
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { Randomness } from '../ports.ts';
import { Partition } from './partition.ts';
import { faultOfConfig, TOPIC_CONFIGS } from './topic-configs.ts';

const NAME_LENGTH_MAX = 249;
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

  /** Why a topic cannot be created, or null. */
  fault(spec: TopicSpec): Fault | null {
    if (!/^[a-zA-Z0-9._-]+$/.test(spec.name) || /^\.{1,2}$/.test(spec.name)) {
      return fault(KafkaErrorCode.INVALID_TOPIC_EXCEPTION, `Topic name is invalid: ${spec.name}`);
    }
    if (spec.name.length > NAME_LENGTH_MAX) {
      return fault(KafkaErrorCode.INVALID_TOPIC_EXCEPTION, 'Topic name is longer than 249 letters');
    }
    if (this.#topics.has(spec.name)) {
      return fault(KafkaErrorCode.TOPIC_ALREADY_EXISTS, `Topic '${spec.name}' already exists.`);
    }
    if (spec.assignments.length > 0) {
      const unknown = spec.assignments.flat().find((node) => node < 0 || node >= this.#nodes);
      return unknown === undefined
        ? this.#faultOfConfigs(spec)
        : fault(KafkaErrorCode.INVALID_REPLICA_ASSIGNMENT, `There is no node ${unknown}`);
    }
    const partitions = spec.partitions === -1 ? this.#partitionsDefault : spec.partitions;
    if (partitions < 1 || partitions > PARTITIONS_MAX) {
      return fault(
        KafkaErrorCode.INVALID_PARTITIONS,
        `Number of partitions must be from 1 to ${PARTITIONS_MAX}, not ${spec.partitions}`,
      );
    }
    if (spec.replicationFactor === 0 || spec.replicationFactor < -1) {
      return fault(
        KafkaErrorCode.INVALID_REPLICATION_FACTOR,
        'Replication factor must be larger than 0, or -1 to use the default value.',
      );
    }
    if (spec.replicationFactor > this.#nodes) {
      return fault(
        KafkaErrorCode.INVALID_REPLICATION_FACTOR,
        `Unable to replicate the partition ${spec.replicationFactor} time(s): there are ${this.#nodes} nodes.`,
      );
    }
    return this.#faultOfConfigs(spec);
  }

  create(spec: TopicSpec): Topic {
    const configs = new Map(spec.configs.map(({ name, value }) => [name, value ?? '']));
    const count =
      spec.assignments.length ||
      (spec.partitions === -1 ? this.#partitionsDefault : spec.partitions);
    const partitions = Array.from({ length: count }, (_, index) => {
      const replicas = spec.assignments[index] ?? this.#replicasOf(index, spec.replicationFactor);
      return new Partition({ topic: spec.name, index, replicas });
    });
    const topic: Topic = {
      name: spec.name,
      id: this.#random.bytes(16).toString('hex'),
      partitions,
      configs,
      batchBytesMax: Number(configOf(configs, 'max.message.bytes')),
      timestampAfterMaxMs: Number(
        configs.get('message.timestamp.after.max.ms') ?? this.#timestampAfterMaxMs,
      ),
      keys: configOf(configs, 'cleanup.policy').includes('compact') ? 'required' : 'optional',
      replicasMin: Number(configOf(configs, 'min.insync.replicas')),
    };
    this.#topics.set(spec.name, topic);
    return topic;
  }

  /** Fetches that wait on the topic are woken and find it gone. */
  delete(name: string): 'deleted' | 'unknown' {
    const topic = this.#topics.get(name);
    if (topic === undefined) return 'unknown';
    this.#topics.delete(name);
    for (const partition of topic.partitions) partition.log.announce();
    return 'deleted';
  }

  #replicasOf(index: number, replicationFactor: number): number[] {
    const count = Math.max(1, replicationFactor);
    return Array.from({ length: count }, (_, step) => (index + step) % this.#nodes);
  }

  #faultOfConfigs(spec: TopicSpec): Fault | null {
    for (const { name, value } of spec.configs) {
      const message = faultOfConfig(name, value);
      if (message !== null) return fault(KafkaErrorCode.INVALID_CONFIG, message);
    }
    return null;
  }
}

export function configOf(configs: ReadonlyMap<string, string>, name: string): string {
  return configs.get(name) ?? TOPIC_CONFIGS.get(name)?.value ?? '';
}

function fault(errorCode: number, message: string): Fault {
  return { errorCode, message };
}
