/** Brokers that are dead or come back at other addresses, under an application that runs over TCP. */
import type { KafkaConfig } from 'kafkajs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Broker } from '../../../src/broker/broker.ts';
import { type Listener, listen } from '../../../src/broker/tcp.ts';
import { metadata as metadataApi } from '../../../src/kafka/protocol/metadata.ts';
import { systemPorts } from '../../../src/ports.ts';
import { type Application, run } from '../../../src/run.ts';
import { Client } from '../../broker/client.ts';
import { counting } from '../../exactness/lab.ts';
import { freePorts } from '../../free-ports.ts';

const HOST = '127.0.0.1';
const WAIT = { timeout: 60_000 };

/** None that a server of another test is given while nobody listens there any more. */
async function ownPort(): Promise<number> {
  const [port] = await freePorts(1);
  return port!;
}

/** An address where nothing listens. */
const deadAddress = async (): Promise<string> => `${HOST}:${await ownPort()}`;

describe('an application', () => {
  let broker: Broker;
  let client: Client;
  let listeners: Listener[];
  let application: Application | null;
  let written = 0;

  const begin = async (nodes: number): Promise<void> => {
    broker = new Broker({ ports: systemPorts, nodes });
    client = new Client(broker, 'outsider');
    client.createTopic('in');
    client.createTopic('out');
    listeners = [];
    for (let node = 0; node < nodes; node++) {
      listeners.push(await listen(broker, { host: HOST, port: await ownPort(), node }));
    }
  };
  const address = (node: number): string => `${HOST}:${listeners[node]!.port}`;

  beforeEach(() => {
    application = null;
    written = 0;
  });
  afterEach(async () => {
    await application?.stop();
    for (const listener of listeners) await listener.close();
    broker.close();
  });

  const start = async (brokers: KafkaConfig['brokers']): Promise<void> => {
    application = await run(counting(), {
      applicationId: 'app',
      kafka: { brokers },
      signals: 'ignore',
    });
    application.stopped().catch(() => {});
  };

  /** One more record goes in, and comes out. */
  const counted = async (): Promise<void> => {
    written++;
    expect(writeTo('in').errorCode).toBe(0);
    const offset = () => broker.groups.find('app')?.offsets.find('in', 0)?.offset ?? -1;
    await expect.poll(offset, WAIT).toBe(written);
  };
  const writeTo = (topic: string) => client.produce(topic, 0, { values: ['v'], key: 'a' });
  const move = async (node: number): Promise<void> => {
    await listeners[node]!.close();
    listeners[node] = await listen(broker, { host: HOST, port: await ownPort(), node });
  };

  const leaderOf = (topic: string): number =>
    client.ask(metadataApi, 5, { topics: [{ name: topic }], allowAutoTopicCreation: false })
      .topics[0]!.partitions[0]!.leaderId;

  it('starts from the one bootstrap address that lives', async () => {
    await begin(1);
    await start([await deadAddress(), await deadAddress(), address(0)]);
    await counted();
  });

  it('follows brokers to other ports, one after the other, past the last bootstrap address', async () => {
    await begin(3);
    client = new Client(broker, 'outsider', leaderOf('in'));
    await start([await deadAddress(), address(0), address(1), address(2)]);
    await counted();
    for (const node of [0, 1, 2, 0]) {
      await move(node);
      await counted();
    }
    // All connections break, and no bootstrap address lives: what was learned is left.
    const ports = listeners.map(({ port }) => port);
    await Promise.all(listeners.map((listener) => listener.close()));
    listeners = await Promise.all(
      ports.map((port, node) => listen(broker, { host: HOST, port, node })),
    );
    await counted();
    expect(application!.state).toBe('running');
  });

  it('finds brokers that all moved at once, by the function that names them', async () => {
    await begin(1);
    await start(() => [address(0)]);
    await counted();
    await move(0);
    await counted();
    expect(application!.state).toBe('running');
  });
});
