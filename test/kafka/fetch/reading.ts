/** What the tests of reading share: an embedded broker, a cluster over it, and values of chunks. */
import { Broker } from '../../../src/broker/broker.ts';
import { brokerTransport } from '../../../src/broker/in-process.ts';
import { Cluster } from '../../../src/kafka/cluster/cluster.ts';
import type { PartitionFeed } from '../../../src/kafka/fetch/fetcher.ts';
import { decodeRequest } from '../../../src/kafka/protocol/codec.ts';
import { fetch } from '../../../src/kafka/protocol/fetch.ts';
import type { FetchedRecords } from '../../../src/kafka/records/parse-fetched.ts';
import { RecordCursor } from '../../../src/kafka/records/record-cursor.ts';
import { type FaultPlan, FaultyTransport } from '../../../src/kafka/transport/faulty.ts';
import type { Node, Transport, TransportRequest } from '../../../src/kafka/transport/transport.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { Client } from '../../broker/client.ts';
import { RunningTime } from '../running-time.ts';

/** Sees each request, and may change the bytes that come back. */
export class Tap implements Transport {
  readonly asked: TransportRequest[] = [];
  change: (answer: Buffer, request: TransportRequest) => Buffer = (answer) => answer;
  readonly #inner: Transport;

  constructor(inner: Transport) {
    this.#inner = inner;
  }

  async request(node: number | 'any', request: TransportRequest): Promise<Buffer> {
    this.asked.push(request);
    return this.change(await this.#inner.request(node, request), request);
  }

  learn(nodes: readonly Node[]): void {
    this.#inner.learn(nodes);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** The Fetch requests so far: their lane, whole size, and partitions as `topic-partition`. */
  get fetches() {
    return this.asked
      .filter(({ apiKey }) => apiKey === fetch.key)
      .map(({ lane, apiVersion, body }) => {
        const { topics, maxBytes } = decodeRequest(fetch, apiVersion, body);
        const partitions = topics.flatMap(({ topic, partitions: asked }) =>
          asked.map(({ partition }) => `${topic}-${partition}`),
        );
        return { lane, maxBytes, partitions: partitions.sort() };
      });
  }
}

/** All of it in virtual time. */
export class Reading {
  readonly time = new RunningTime();
  readonly ports = this.time.ports;
  readonly broker = new Broker({ ports: this.ports, markerDelayMs: 0 });
  readonly client = new Client(this.broker);
  readonly transport: FaultyTransport;
  readonly tap: Tap;
  readonly cluster: Cluster;

  constructor(plan?: FaultPlan) {
    this.transport = new FaultyTransport({
      inner: brokerTransport(this.broker),
      timers: this.ports.timers,
      ...(plan ? { plan } : {}),
    });
    this.tap = new Tap(this.transport);
    this.cluster = new Cluster({
      transport: this.tap,
      ports: this.ports,
      log: silentLog,
      requestTimeoutMs: 1_000,
    });
  }

  /** Writes a batch of plain records. */
  write(topic: string, partition: number, ...values: string[]): void {
    this.client.produce(topic, partition, { values });
  }
}

export function valuesOf(chunk: FetchedRecords): string[] {
  const cursor = new RecordCursor();
  const values: string[] = [];
  cursor.load(chunk);
  while (cursor.next()) {
    values.push(cursor.buffer.toString('utf8', cursor.valueStart, cursor.valueEnd));
  }
  return values;
}

/** Takes everything that waits. */
export function takeAll(feed: PartitionFeed): string[] {
  const values: string[] = [];
  for (let chunk = feed.take(); chunk !== null; chunk = feed.take())
    values.push(...valuesOf(chunk));
  return values;
}
