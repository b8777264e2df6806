/** The Java clients of Apache Kafka 4.3.1 against the embedded broker's TCP door. */
import { expect, test } from 'vitest';
import { Broker } from '../../src/broker/broker.ts';
import { listen } from '../../src/broker/tcp.ts';
import { systemPorts } from '../../src/ports.ts';
import { createTopics } from '../topics.ts';
import { runProgram } from './real/java-program.ts';
import { describeReal } from './real/parts.ts';

const RECORDS = 400;

describeReal('the Java clients over the embedded broker', () => {
  test.each(['none', 'lz4'])('copy exactly once, %s', async (compression) => {
    const broker = new Broker({ ports: systemPorts });
    const listener = await listen(broker, { host: '127.0.0.1', port: 0 });
    const bootstrap = `127.0.0.1:${listener.port}`;
    try {
      await createTopics(bootstrap, [
        { topic: 'source', numPartitions: 2 },
        { topic: 'target', numPartitions: 2 },
      ]);
      const [found] = await runProgram('CopyLoop', [
        bootstrap,
        'source',
        'target',
        RECORDS,
        compression,
      ]);
      expect(found).toMatchObject({ committed: RECORDS, distinct: RECORDS, offsets: RECORDS });
      const { aborts, aborted, uncommitted } = found as Record<string, number>;
      expect(aborts).toBeGreaterThan(0);
      expect(uncommitted).toBe(RECORDS + aborted!);
    } finally {
      broker.close();
      await listener.close();
    }
  });
});
