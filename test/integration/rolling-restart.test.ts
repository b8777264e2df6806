/** Rolling restarts on real Kafka. */
import { rollingRestart } from '../exactness/rolling-restart.ts';
import { describeReal } from './real/parts.ts';
import { sharedKafka } from './real/shared.ts';

describeReal('Kafka 4.3.1', () => {
  rollingRestart('Kafka 4.3.1', async () => {
    const { bootstrap } = await sharedKafka('4.3.1');
    return { bootstrap, close: async () => {} };
  });
});
