/** What a user can get wrong at start, on real Kafka. */
import { badInput } from './bad-input.ts';
import { describeReal } from './real/parts.ts';
import { sharedKafka } from './real/shared.ts';

for (const version of ['3.9.1', '4.3.1'] as const) {
  describeReal('bad input', () => {
    badInput(`Kafka ${version}`, async () => {
      const { bootstrap } = await sharedKafka(version);
      return { bootstrap, close: async () => {} };
    });
  });
}
