/** A cluster that answers every request with success, but for what a test has scripted. */

import type { VersionRange } from '../../../src/kafka/cluster/versions.ts';
import type { SessionCluster } from '../../../src/kafka/producer/coordinator-asking.ts';
import { encodeRequest } from '../../../src/kafka/protocol/codec.ts';
import type { Api } from '../../../src/kafka/protocol/schema.ts';

type Row = Record<string, unknown>;

export interface Sent {
  readonly api: string;
  readonly node: number | 'any';
  readonly body: Row;
  readonly version: number;
}

/** The next answer of an API: a code for everything in it or for one partition, or a rejection. */
/** `undefined` is success. */
export type Scripted =
  | undefined
  | number
  | {
      readonly topic: string;
      readonly partition: number;
      readonly code: number;
      /** Of all others; default: success. */
      readonly others?: number;
    }
  | { readonly leavesOut: number }
  | Error
  | Promise<void>;

export class ScriptedCluster implements SessionCluster {
  readonly sent: Sent[] = [];
  readonly forgotten: string[] = [];
  readonly leaders = new Map<string, number>();
  nextProducerId = 7;
  nextEpoch = 0;
  /** Finalized level of `transaction.version`. */
  transactionLevel = 1;
  lookups = 0;
  readonly #script = new Map<string, Scripted[]>();

  /** What the next requests of an API are answered with, in order; then success again. */
  script(api: string, ...answers: Scripted[]): void {
    this.#script.set(api, [...(this.#script.get(api) ?? []), ...answers]);
  }

  /** From here on everything succeeds. */
  unscript(): void {
    this.#script.clear();
  }

  names(): string[] {
    return this.sent.map(({ api }) => api);
  }

  bodies(api: string): Row[] {
    return this.sent.filter((sent) => sent.api === api).map(({ body }) => body);
  }

  async send<Req, Res>(
    node: number | 'any',
    api: Api<Req, Res>,
    body: NoInfer<Req> | ((version: number) => NoInfer<Req>),
    options: VersionRange,
  ): Promise<Res> {
    const newest = api.clientVersionMax ?? api.versions[1];
    const version = Math.min(newest, options.versionMax ?? newest);
    if (version < (options.versionMin ?? 0)) throw new Error(`no version of ${api.name} is left`);
    const given = typeof body === 'function' ? (body as (v: number) => Req)(version) : body;
    // The bytes must be legal, and a batch is reused once it is acknowledged.
    encodeRequest(api, version, given as NoInfer<Req>);
    this.sent.push({ api: api.name, node, body: structuredClone(given) as Row, version });
    await Promise.resolve();
    let scripted = this.#script.get(api.name)?.shift();
    if (scripted instanceof Promise) {
      await scripted;
      scripted = undefined;
    }
    if (scripted instanceof Error) throw scripted;
    return this.#answer(api.name, given as Row, scripted, version) as Res;
  }

  finalizedFeature(): Promise<number> {
    return Promise.resolve(this.transactionLevel);
  }

  leaderOf(topic: string, partition: number): Promise<number> {
    this.lookups += 1;
    return Promise.resolve(this.leaders.get(`${topic}-${partition}`) ?? 0);
  }

  forgetLeader(topic: string, partition: number): void {
    this.forgotten.push(`${topic}-${partition}`);
  }

  coordinator(): Promise<number> {
    this.lookups += 1;
    return Promise.resolve(0);
  }

  forgetCoordinator(kind: string, key: string): void {
    this.forgotten.push(`${kind} ${key}`);
  }

  #answer(
    api: string,
    body: Row,
    scripted: Exclude<Scripted, Error | Promise<void>> | undefined,
    version: number,
  ) {
    const code = (topic: string, partition: number): number => {
      if (scripted === undefined) return 0;
      if (typeof scripted === 'number') return scripted;
      if ('leavesOut' in scripted) return 0;
      if (scripted.topic === topic && scripted.partition === partition) return scripted.code;
      return scripted.others ?? 0;
    };
    const left = <T>(rows: T[]): T[] =>
      typeof scripted === 'object' && 'leavesOut' in scripted
        ? rows.slice(scripted.leavesOut)
        : rows;
    switch (api) {
      case 'InitProducerId':
        return {
          errorCode: code('', 0),
          producerId: this.nextProducerId,
          producerEpoch: this.nextEpoch,
        };
      case 'AddPartitionsToTxn':
        return {
          resultsByTopicV3AndBelow: (body.v3AndBelowTopics as TopicNumbers[]).map((topic) => ({
            name: topic.name,
            resultsByPartition: left(
              topic.partitions.map((partition) => ({
                partitionIndex: partition,
                partitionErrorCode: code(topic.name, partition),
              })),
            ),
          })),
        };
      case 'OffsetCommit':
      case 'TxnOffsetCommit':
        return {
          topics: (body.topics as TopicRows[]).map(({ name, partitions }) => ({
            name,
            partitions: left(
              partitions.map(({ partitionIndex }) => ({
                partitionIndex,
                errorCode: code(name, partitionIndex),
              })),
            ),
          })),
        };
      case 'Produce':
        return {
          responses: (body.topicData as ProduceRows[]).map(({ name, partitionData }) => ({
            name,
            partitionResponses: left(
              partitionData.map(({ index }) => ({ index, errorCode: code(name, index) })),
            ),
          })),
        };
      case 'EndTxn': {
        if (version < 5 || code('', 0) !== 0) return { errorCode: code('', 0) };
        const { producerId, producerEpoch } = body as { producerId: number; producerEpoch: number };
        const isUsedUp = producerEpoch === EPOCH_MAX;
        const next = isUsedUp
          ? { producerId: producerId + 1, producerEpoch: 0 }
          : { producerId, producerEpoch: producerEpoch + 1 };
        return { errorCode: 0, ...next };
      }
      default:
        return { errorCode: code('', 0) };
    }
  }
}

/** The last epoch that a coordinator hands out: one more is kept for fencing. */
const EPOCH_MAX = 32_766;

interface TopicNumbers {
  readonly name: string;
  readonly partitions: number[];
}

interface TopicRows {
  readonly name: string;
  readonly partitions: { readonly partitionIndex: number }[];
}

interface ProduceRows {
  readonly name: string;
  readonly partitionData: { readonly index: number }[];
}
