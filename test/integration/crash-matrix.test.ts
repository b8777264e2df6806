/** The crash matrix on real Kafka: both generations of the transaction protocol's broker side. */
import { crashMatrix } from '../exactness/crash-matrix.ts';
import { describeReal } from './real/parts.ts';
import { sharedKafka } from './real/shared.ts';

for (const [version, transactions] of [
  ['3.9.1', 1],
  ['4.3.1', 2],
] as const) {
  describeReal(`Kafka ${version}`, () => {
    crashMatrix(`Kafka ${version}`, transactions, async () => {
      const { bootstrap } = await sharedKafka(version);
      return { bootstrap, close: async () => {} };
    });
  });
}
