/** The embedded broker with a cluster per process, each behind a transport that fails by plan. */
import { Broker } from '../../../src/broker/broker.ts';
import { brokerTransport } from '../../../src/broker/in-process.ts';
import type { BrokerOptions } from '../../../src/broker/options.ts';
import { Cluster } from '../../../src/kafka/cluster/cluster.ts';
import { type FaultPlan, FaultyTransport } from '../../../src/kafka/transport/faulty.ts';
import type { Transport } from '../../../src/kafka/transport/transport.ts';
import type { Ports } from '../../../src/ports.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { Client } from '../../broker/client.ts';
import { RunningTime } from '../running-time.ts';

/** All of it in virtual time. */
export class OverBroker {
  readonly time = new RunningTime();
  readonly ports: Ports = this.time.ports;
  readonly broker: Broker;
  readonly client: Client;
  readonly #closing: (() => Promise<void>)[] = [];

  constructor(options: Partial<BrokerOptions> = {}) {
    this.broker = new Broker({ ports: this.ports, markerDelayMs: 1, ...options });
    this.client = new Client(this.broker);
  }

  /** What one process has: connections of its own. */
  process(
    plan?: FaultPlan,
    wrap: (inner: Transport) => Transport = (inner) => inner,
  ): { cluster: Cluster; transport: FaultyTransport } {
    const transport = new FaultyTransport({
      inner: wrap(brokerTransport(this.broker)),
      timers: this.ports.timers,
      ...(plan === undefined ? {} : { plan }),
    });
    const cluster = new Cluster({
      transport,
      ports: this.ports,
      log: silentLog,
      requestTimeoutMs: 2_000,
    });
    this.#closing.push(() => cluster.close());
    return { cluster, transport };
  }

  async close(): Promise<void> {
    for (const close of this.#closing) await close();
    this.broker.close();
    this.time.end();
  }
}
