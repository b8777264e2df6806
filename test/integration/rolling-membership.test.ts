/** What a closing instance does to its group on real Kafka, for each value of `onClose`. */
import { type Admin, Kafka, logLevel } from 'kafkajs';
import { expect, test } from 'vitest';
import type { Options } from '../../src/config/options.ts';
import { run, string, to, topology } from '../../src/index.ts';
import { until } from '../exactness/count-run.ts';
import { createTopics } from '../topics.ts';
import { describeReal } from './real/parts.ts';
import { sharedKafka } from './real/shared.ts';

/** Longer than a machine stands still: who stays must not be gone before it is looked for. */
const SESSION_MS = 15_000;

interface Closing {
  readonly onClose: Options['onClose'];
  readonly member: 'dynamic' | 'static';
  /** Right after its process has closed. */
  readonly outcome: 'stays' | 'leaves';
}

const CASES: readonly Closing[] = [
  { onClose: 'dynamic-leave', member: 'dynamic', outcome: 'leaves' },
  { onClose: 'dynamic-leave', member: 'static', outcome: 'stays' },
  { onClose: 'leave', member: 'dynamic', outcome: 'leaves' },
  { onClose: 'leave', member: 'static', outcome: 'leaves' },
  { onClose: 'stay', member: 'dynamic', outcome: 'stays' },
  { onClose: 'stay', member: 'static', outcome: 'stays' },
];

async function membersOf(admin: Admin, groupId: string): Promise<number> {
  const { groups } = await admin.describeGroups([groupId]);
  return groups[0]?.members.length ?? 0;
}

/** What the member did; waits until it is gone in any case, at the latest with its session. */
async function close(
  bootstrap: string,
  applicationId: string,
  input: string,
  { onClose, member }: Closing,
): Promise<Closing> {
  const text = string();
  const app = topology('closing');
  app.stream(input, { key: text, value: text }).pipe(to(input, { key: text, value: text }));
  const kafka = { brokers: [bootstrap], logLevel: logLevel.NOTHING };
  const application = await run(app, {
    applicationId,
    kafka,
    onClose,
    instanceId: member === 'static' ? 'one' : null,
    signals: 'ignore',
    sessionTimeoutMs: SESSION_MS,
    heartbeatIntervalMs: 500,
  });
  const admin = new Kafka(kafka).admin();
  await admin.connect();
  try {
    await until(async () => (await membersOf(admin, applicationId)) === 1, 'no member has joined');
    await application.stop();
    const outcome = (await membersOf(admin, applicationId)) === 1 ? 'stays' : 'leaves';
    await until(async () => (await membersOf(admin, applicationId)) === 0, 'the member stays on');
    return { onClose, member, outcome };
  } finally {
    await admin.disconnect();
  }
}

for (const version of ['3.9.1', '4.3.1'] as const) {
  describeReal(`on Kafka ${version}`, () => {
    test('a closing member leaves or stays, as onClose says for dynamic and static ones', async () => {
      const { bootstrap } = await sharedKafka(version);
      const names = CASES.map((_, i) => `closing-${process.pid}-${i}`);
      await createTopics(
        bootstrap,
        names.map((name) => ({ topic: `${name}-in`, numPartitions: 1 })),
      );
      const closed = CASES.map((each, i) => close(bootstrap, names[i]!, `${names[i]}-in`, each));
      expect(await Promise.all(closed)).toEqual(CASES);
    });
  });
}
