/** What the tests of reading share: an embedded broker, a cluster over it, and values of chunks. */
import { Broker } from '../../../src/broker/broker.ts';
import { brokerTransport } from '../../../src/broker/in-process.ts';
import { Cluster } from '../../../src/kafka/cluster/cluster.ts';
import type { PartitionFeed } from '../../../src/kafka/fetch/fetcher.ts';
import type { FetchedRecords } from '../../../src/kafka/records/parse-fetched.ts';
import { RecordCursor } from '../../../src/kafka/records/record-cursor.ts';
import { type FaultPlan, FaultyTransport } from '../../../src/kafka/transport/faulty.ts';
import { systemPorts } from '../../../src/ports.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { Client } from '../../broker/client.ts';

export class Reading {
  readonly broker = new Broker({ ports: systemPorts, markerDelayMs: 0 });
  readonly client = new Client(this.broker);
  readonly transport: FaultyTransport;
  readonly cluster: Cluster;

  constructor(plan?: FaultPlan) {
    this.transport = new FaultyTransport({
      inner: brokerTransport(this.broker),
      timers: systemPorts.timers,
      ...(plan ? { plan } : {}),
    });
    this.cluster = new Cluster({
      transport: this.transport,
      ports: systemPorts,
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
