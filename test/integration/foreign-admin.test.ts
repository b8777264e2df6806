/** The Java admin client of Kafka 4.3.1: what it is told by the embedded broker and by Kafka. */
import { expect, test } from 'vitest';
import { startEmbedded } from './embedded.ts';
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
      const { bootstrap, close } = await startEmbedded({ transactionVersion });
      try {
        const embedded = await findings(bootstrap);
        const kafka = await findings((await sharedKafka(version)).bootstrap);
        expect(kafka.size).toBeGreaterThanOrEqual(60);
        expect(Object.fromEntries(embedded)).toEqual(Object.fromEntries(kafka));
      } finally {
        await close();
      }
    },
  );
});
