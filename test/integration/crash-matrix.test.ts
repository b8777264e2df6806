/** The crash matrix on real Kafka: both generations of the transaction protocol's broker side. */
import { crashMatrix } from '../exactness/crash-matrix.ts';
import { describeReal } from './real/parts.ts';
import { sharedKafka } from './real/shared.ts';

for (const version of ['3.9.1', '4.3.1'] as const) {
  describeReal(`Kafka ${version}`, () => {
    crashMatrix(`Kafka ${version}`, async () => {
      const { bootstrap } = await sharedKafka(version);
      return { bootstrap, close: async () => {} };
    });
  });
}
