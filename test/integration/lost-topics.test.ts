/**
 * Topics that are deleted under an application on real Kafka: while it runs, and between two of its
 * lives. What brokers answer about a topic that is gone differs, and so does when they begin to.
 */
import { Kafka, logLevel } from 'kafkajs';
import { expect, test } from 'vitest';
import { CountRun, until } from '../exactness/count-run.ts';
import { describeReal } from './real/parts.ts';
import { sharedKafka } from './real/shared.ts';

const ROWS = 10;
const PAUSE_MS = 1_000;
/** Of which the lookup is a minute on an idle machine. */
const ENDS_MS_MAX = 600_000;

const changelogOf = ({ applicationId }: CountRun): string => `${applicationId}-counts-changelog`;

const USES = {
  read: ({ input }: CountRun) => input,
  written: ({ output }: CountRun) => output,
  changelog: changelogOf,
};
type Use = keyof typeof USES;

/** Resolves when the broker has heard of it, which may be after its controller has confirmed it. */
async function drop(bootstrap: string, topic: string): Promise<void> {
  const admin = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.deleteTopics({ topics: [topic] });
  const isGone = async () => !(await admin.listTopics()).includes(topic);
  await until(isGone, `${topic} is still there`);
  await admin.disconnect();
}

/** An application that has counted some rows and runs. */
async function counted(bootstrap: string) {
  const run = new CountRun(bootstrap);
  await run.createTopics();
  await run.write(ROWS);
  const application = await run.start(run.transport());
  await run.drained();
  return { run, application };
}

/** How an instance ends whose topic of that use is deleted, and the name of the topic. */
async function endOf(bootstrap: string, use: Use) {
  const { run, application } = await counted(bootstrap);
  const topic = USES[use](run);
  const ended = application.stopped().then(
    () => 'stopped' as const,
    (cause: unknown) => cause,
  );
  await drop(bootstrap, topic);
  // The deletion is answered before the log is gone: what is written meanwhile may succeed.
  for (let hasEnded = false; !hasEnded; ) {
    if (use !== 'read') await run.write(ROWS);
    const pause = new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    hasEnded = await Promise.race([ended.then(() => true), pause.then(() => false)]);
  }
  await run.close();
  return { end: await ended, use, topic, task: `${run.input}_0` };
}

// What is gone is looked for as long as a lookup takes, a minute: all wait at the same time.
describeReal('on real brokers', () => {
  for (const version of ['3.9.1', '4.3.1'] as const) {
    const stops = 'a topic that is deleted while it is used stops the instance, which names it';
    test.concurrent(`${stops}: Kafka ${version}`, { timeout: ENDS_MS_MAX }, async () => {
      const { bootstrap } = await sharedKafka(version);
      const uses = Object.keys(USES) as Use[];
      const ends = await Promise.all(uses.map((use) => endOf(bootstrap, use)));
      for (const { end, use, topic, task } of ends) {
        expect(end).toMatchObject({
          code: 'TOPIC_MISMATCH',
          at: { task, topic },
          message: expect.stringContaining(`'${topic}' (${use}) does not exist`),
        });
      }
    });

    const refused = 'a changelog that is deleted between two lives is not made anew';
    test.concurrent(`${refused}: Kafka ${version}`, async () => {
      const { bootstrap } = await sharedKafka(version);
      const { run, application } = await counted(bootstrap);
      await application.stop();
      await drop(bootstrap, changelogOf(run));
      await expect(run.start(run.transport())).rejects.toMatchObject({
        code: 'CHANGELOG_MISSING',
        at: { topic: changelogOf(run) },
      });
    });
  }
});
