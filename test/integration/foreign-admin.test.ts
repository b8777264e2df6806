/** The Java admin client of Kafka 4.3.1: what it is told by the embedded broker and by Kafka. */
import { expect, test } from 'vitest';
import { Broker } from '../../src/broker/broker.ts';
import { listen } from '../../src/broker/tcp.ts';
import { systemPorts } from '../../src/ports.ts';
import { runProgram } from './real/java-program.ts';
import { describeReal } from './real/parts.ts';
import { sharedKafka } from './real/shared.ts';

async function findings(bootstrap: string): Promise<Map<string, unknown>> {
  const lines = await runProgram('Administration', [bootstrap, 'admin']);
  return new Map(lines.map(({ what, said }) => [String(what), said]));
}

describeReal('the Java admin client', () => {
  test.each([
    [1, '3.9.1'],
    [2, '4.3.1'],
  ] as const)(
    'is told by the embedded broker with transactions v%i what Kafka %s tells it',
    async (transactionVersion, version) => {
      const broker = new Broker({ ports: systemPorts, transactionVersion });
      const listener = await listen(broker, { host: '127.0.0.1', port: 0 });
      try {
        const embedded = await findings(`127.0.0.1:${listener.port}`);
        const kafka = await findings((await sharedKafka(version)).bootstrap);
        expect(kafka.size).toBeGreaterThanOrEqual(60);
        expect(Object.fromEntries(embedded)).toEqual(Object.fromEntries(kafka));
      } finally {
        broker.close();
        await listener.close();
      }
    },
  );
});
