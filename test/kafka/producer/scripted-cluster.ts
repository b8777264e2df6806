/** A cluster that answers every request with success, but for what a test has scripted. */
import type { SessionCluster } from '../../../src/kafka/producer/coordinator-requests.ts';
import { encodeRequest } from '../../../src/kafka/protocol/codec.ts';
import type { Api } from '../../../src/kafka/protocol/schema.ts';

type Row = Record<string, unknown>;

export interface Sent {
  readonly api: string;
  readonly node: number | 'any';
  readonly body: Row;
  readonly versionMin: number | undefined;
}

/** The next answer of an API: a code for everything in it or for one partition, or a rejection. */
export type Scripted =
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
  lookups = 0;
  readonly #script = new Map<string, Scripted[]>();

  /** What the next requests of an API are answered with, in order; then success again. */
  script(api: string, ...answers: Scripted[]): void {
    this.#script.set(api, [...(this.#script.get(api) ?? []), ...answers]);
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
    options: { readonly versionMin?: number },
  ): Promise<Res> {
    const version = api.versions[1];
    const given = typeof body === 'function' ? (body as (v: number) => Req)(version) : body;
    // The bytes must be legal, and a batch is reused once it is acknowledged.
    encodeRequest(api, version, given as NoInfer<Req>);
    const { versionMin } = options;
    this.sent.push({ api: api.name, node, body: structuredClone(given) as Row, versionMin });
    await Promise.resolve();
    let scripted = this.#script.get(api.name)?.shift();
    if (scripted instanceof Promise) {
      await scripted;
      scripted = undefined;
    }
    if (scripted instanceof Error) throw scripted;
    return this.#answer(api.name, given as Row, scripted) as Res;
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

  #answer(api: string, body: Row, scripted: Exclude<Scripted, Error | Promise<void>> | undefined) {
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
        return { errorCode: code('', 0), producerId: this.nextProducerId, producerEpoch: 0 };
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
      default:
        return { errorCode: code('', 0) };
    }
  }
}

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
