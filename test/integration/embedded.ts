/** The embedded broker with a TCP door for each of its nodes, for clients of other processes. */
import { Broker } from '../../src/broker/broker.ts';
import type { BrokerOptions } from '../../src/broker/options.ts';
import { listen } from '../../src/broker/tcp.ts';
import { systemPorts } from '../../src/ports.ts';

export interface Embedded {
  readonly broker: Broker;
  readonly bootstrap: string;
  close(): Promise<void>;
}

export async function startEmbedded(options: Partial<BrokerOptions> = {}): Promise<Embedded> {
  const broker = new Broker({ ports: systemPorts, ...options });
  const nodes = Array.from({ length: options.nodes ?? 1 }, (_, node) => node);
  const doors = await Promise.all(
    nodes.map((node) => listen(broker, { host: '127.0.0.1', port: 0, node })),
  );
  return {
    broker,
    bootstrap: doors.map(({ port }) => `127.0.0.1:${port}`).join(','),
    async close() {
      broker.close();
      await Promise.all(doors.map((door) => door.close()));
    },
  };
}
