/**
 * All brokers are away for minutes, in virtual time: the process stays, does not storm them, and
 * goes on with what it committed when they are back.
 */
import { describe, expect, it } from 'vitest';
import { Broker } from '../../../src/broker/broker.ts';
import { brokerTransport } from '../../../src/broker/in-process.ts';
import { resolveOptions } from '../../../src/config/options.ts';
import {
  type Transport,
  TransportError,
  type TransportRequest,
} from '../../../src/kafka/transport/transport.ts';
import type { Ports } from '../../../src/ports.ts';
import type { Instance } from '../../../src/runtime/instance.ts';
import { startInstance } from '../../../src/runtime/start-instance.ts';
import { SeededRandom } from '../../../src/simulation/seeded-random.ts';
import { SimulatedProcess } from '../../../src/simulation/simulated-process.ts';
import { VirtualTime } from '../../../src/simulation/virtual-time.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { Client } from '../../broker/client.ts';
import { counting } from '../../exactness/lab.ts';

const MINUTE = 60_000;

/** A cluster whose sockets all break at once. */
class Weather implements Transport {
  state: 'up' | 'down' = 'up';
  refused = 0;
  readonly #inner: Transport;
  readonly #ports: Ports;
  readonly #pending = new Set<(error: Error) => void>();

  constructor(inner: Transport, ports: Ports) {
    this.#inner = inner;
    this.#ports = ports;
  }

  async request(node: number | 'any', request: TransportRequest): Promise<Buffer> {
    if (this.state === 'down') {
      this.refused++;
      await this.#ports.timers.sleep(1);
      throw new TransportError('never-sent', 'No connection: nothing listens there.');
    }
    return new Promise((resolve, reject) => {
      this.#pending.add(reject);
      this.#inner
        .request(node, request)
        .then(resolve, reject)
        .finally(() => this.#pending.delete(reject));
    });
  }

  fall(): void {
    this.state = 'down';
    for (const reject of this.#pending)
      reject(new TransportError('unknown', 'The connection broke.'));
    this.#pending.clear();
  }

  learn(nodes: Parameters<Transport['learn']>[0]): void {
    this.#inner.learn(nodes);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

describe('an application whose brokers are all away', () => {
  it.each([
    [1, 'dynamic', 1 * MINUTE],
    [2, 'dynamic', 10 * MINUTE],
    [1, 'static', 10 * MINUTE],
    [2, 'static', 1 * MINUTE],
  ] as const)(
    'on transactions v%i, as a %s member, for %i ms stays and goes on',
    async (version, membership, awayMs) => {
      const random = new SeededRandom(7);
      const time = new VirtualTime(random);
      const process = new SimulatedProcess('app', time, random);
      const { ports } = process;
      const broker = new Broker({ ports, transactionVersion: version });
      const client = new Client(broker, 'outsider');
      client.createTopic('in');
      client.createTopic('out');
      const weather = new Weather(brokerTransport(broker), ports);
      const instanceId = membership === 'static' ? 'one' : null;
      let instance: Instance | null = null;
      const states: string[] = [];
      void startInstance({
        topology: counting().build(),
        transport: weather,
        options: resolveOptions({ applicationId: 'app', instanceId }),
        ports,
        log: silentLog,
        listener: { stateChanged: (state) => states.push(state) },
      }).then((started) => {
        instance = started;
      });
      const counted = () => broker.groups.find('app')?.offsets.find('in', 0)?.offset ?? -1;
      const until = (done: () => boolean, forMs: number) => time.run(done, time.now + forMs);

      client.produce('in', 0, { values: ['x'], key: 'a' });
      expect(await until(() => instance !== null && counted() === 1, MINUTE)).toBe('done');

      weather.fall();
      expect(await until(() => false, awayMs)).toBe('late');
      expect(states).not.toContain('stopping');
      // It is asked for often enough to be found soon, and seldom enough to be no burden.
      expect(weather.refused).toBeGreaterThan(awayMs / 5_000);
      expect(weather.refused).toBeLessThan(awayMs / 100);

      weather.state = 'up';
      client.produce('in', 0, { values: ['y', 'z'], key: 'a' });
      expect(await until(() => counted() === 3, MINUTE)).toBe('done');
      // A marker may come after the offsets.
      const written = () =>
        client
          .fetch('out', 0, 0)
          .batches.filter(({ kind }) => kind === 'data')
          .flatMap((each) => each.values).length;
      expect(await until(() => written() >= 3, MINUTE)).toBe('done');
      expect(written()).toBe(3);
      expect(await until(() => instance!.state === 'running', MINUTE)).toBe('done');
      void instance!.stop();
      expect(await until(() => states.includes('stopped'), MINUTE)).toBe('done');
      broker.close();
    },
  );
});
