/** The admin on real brokers of its own: they take batches that hang. */
import { kafkajsTransport } from '../../src/kafka/transport/kafkajs.ts';
import { systemPorts } from '../../src/ports.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { adminBehaviour } from '../kafka/admin/admin-behaviour.ts';
import { startKafka } from './real/kafka.ts';
import { describeReal } from './real/parts.ts';

for (const version of ['3.3.2', '3.9.1', '4.3.1'] as const) {
  describeReal('admin', () => {
    adminBehaviour(`Kafka ${version}`, async () => {
      const kafka = await startKafka({
        version,
        settings: { 'transaction.partition.verification.enable': 'false' },
      });
      return {
        transport: () =>
          kafkajsTransport({ brokers: [kafka.bootstrap] }, { ports: systemPorts, log: silentLog }),
        hangs: 'without-verification',
        close: () => kafka.stop(),
      };
    });
  });
}
