/**
 * What the suite runs over: the embedded broker in both transaction versions and real Kafka, all of
 * them over TCP. An embedded target is held to the real broker of its transaction version.
 */
import { Broker } from '../../src/broker/broker.ts';
import { listen } from '../../src/broker/tcp.ts';
import { describeTransactions } from '../../src/kafka/protocol/describe-transactions.ts';
import { KafkaErrorCode } from '../../src/kafka/protocol/error-codes.ts';
import { findCoordinator } from '../../src/kafka/protocol/find-coordinator.ts';
import { initProducerId } from '../../src/kafka/protocol/init-producer-id.ts';
import { offsetFetch } from '../../src/kafka/protocol/offset-fetch.ts';
import { systemPorts } from '../../src/ports.ts';
import { sharedKafka } from '../integration/real/shared.ts';
import { type Address, Connection } from './connection.ts';

export type TargetName = 'embedded-tv1' | 'embedded-tv2' | 'kafka-3.9.1' | 'kafka-4.3.1';
/** The real broker that a target is, or that it is held to. */
export type Kafka = '3.9' | '4.3';

export interface TransactionState {
  readonly state: string;
  readonly producerId: number;
  readonly producerEpoch: number;
}

export interface Target {
  readonly name: TargetName;
  readonly kafka: Kafka;
  /** The node that every case talks to first. */
  readonly address: Address;
  /** The state of a transactional id as its coordinator shows it, `unknown` without one. */
  describe(transactionalId: string): Promise<TransactionState>;
  /** Compacts and deletes now; Kafka's cleaner comes by itself, soon. */
  clean(topic: string): void;
  close(): Promise<void>;
}

export const KAFKA_OF: Readonly<Record<TargetName, Kafka>> = {
  'embedded-tv1': '3.9',
  'kafka-3.9.1': '3.9',
  'embedded-tv2': '4.3',
  'kafka-4.3.1': '4.3',
};

const UNKNOWN: TransactionState = { state: 'unknown', producerId: -1, producerEpoch: -1 };

export function openTarget(name: TargetName): Promise<Target> {
  return isEmbedded(name) ? openEmbedded(name) : openReal(name);
}

export function isEmbedded(name: TargetName): name is 'embedded-tv1' | 'embedded-tv2' {
  return name === 'embedded-tv1' || name === 'embedded-tv2';
}

async function openEmbedded(name: 'embedded-tv1' | 'embedded-tv2'): Promise<Target> {
  const broker = new Broker({
    ports: systemPorts,
    transactionVersion: name === 'embedded-tv1' ? 1 : 2,
  });
  const { port, close } = await listen(broker, { host: '127.0.0.1', port: 0 });
  return targetAt(
    name,
    { host: '127.0.0.1', port },
    {
      clean: (topic) => broker.clean(topic),
      async close() {
        await close();
        broker.close();
      },
    },
  );
}

async function openReal(name: 'kafka-3.9.1' | 'kafka-4.3.1'): Promise<Target> {
  const { bootstrap } = await sharedKafka(name === 'kafka-3.9.1' ? '3.9.1' : '4.3.1');
  const [host, port] = bootstrap.split(':');
  const nothing = { clean() {}, async close() {} };
  return targetAt(name, { host: host!, port: Number(port) }, nothing);
}

async function targetAt(
  name: TargetName,
  address: Address,
  { clean, close }: Pick<Target, 'clean' | 'close'>,
): Promise<Target> {
  const observer = await Connection.open(address);
  await warm(observer);
  return {
    name,
    kafka: KAFKA_OF[name],
    address,
    clean,
    async describe(transactionalId) {
      const answer = await observer.ask(describeTransactions, 0, {
        transactionalIds: [transactionalId],
      });
      const found = answer.transactionStates[0]!;
      if (found.errorCode !== KafkaErrorCode.NONE) return UNKNOWN;
      const { transactionState: state, producerId, producerEpoch } = found;
      return { state, producerId, producerEpoch };
    },
    async close() {
      observer.close();
      await close();
    },
  };
}

const WARM_MS_MAX = 60_000;

/** The coordinators' topics are made when first asked for; waits until all their partitions serve. */
async function warm(connection: Connection): Promise<void> {
  const deadline = Date.now() + WARM_MS_MAX;
  for (let index = 0; index < 32; index++) {
    const name = `warm-${index}`;
    while (!(await serves(connection, name))) {
      if (Date.now() > deadline) throw new Error(`no coordinators after ${WARM_MS_MAX} ms`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function serves(connection: Connection, name: string): Promise<boolean> {
  for (const keyType of [0, 1]) {
    const { errorCode } = await connection.ask(findCoordinator, 3, { key: name, keyType });
    if (errorCode !== KafkaErrorCode.NONE) return false;
  }
  const { errorCode } = await connection.ask(initProducerId, 4, {
    transactionalId: name,
    transactionTimeoutMs: 60_000,
  });
  const asked = { groupId: name, topics: null, requireStable: true };
  const offsets = await connection.ask(offsetFetch, 7, asked);
  return errorCode === KafkaErrorCode.NONE && offsets.errorCode === KafkaErrorCode.NONE;
}
