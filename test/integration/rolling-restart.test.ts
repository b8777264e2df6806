/** Rolling restarts on real Kafka, with both versions of transactions. */
import { rollingRestart } from '../exactness/rolling-restart.ts';
import { describeReal } from './real/parts.ts';
import { sharedKafka } from './real/shared.ts';

for (const version of ['3.9.1', '4.3.1'] as const) {
  describeReal(`Kafka ${version}`, () => {
    rollingRestart(`Kafka ${version}`, async () => {
      const { bootstrap } = await sharedKafka(version);
      return { bootstrap, close: async () => {} };
    });
  });
}
