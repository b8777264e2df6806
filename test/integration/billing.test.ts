/** `npm start -- --broker …` on real Kafka: exact while processes die, and nothing left behind. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Admin, Kafka, logLevel } from 'kafkajs';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { BillingCluster } from '../../topologies/billing/cluster.ts';
import { createTopics } from '../topics.ts';
import {
  build,
  endAll,
  type Launched,
  launchBilling,
  pressCtrlC,
  survivors,
} from '../topologies/billing/launched.ts';
import { type KafkaVersion, STARTED_AGAIN, startKafka } from './real/kafka.ts';
import { describeReal } from './real/parts.ts';
import { sharedApicurio, sharedKafka } from './real/shared.ts';

const FIELDS = [
  ...['broker', 'events', 'rejected', 'late', 'dead', 'invoices', 'kills'],
  ...['lost', 'duplicated', 'wrong', 'elapsedMs', 'recordsPerSecond'],
];

async function withAdmin<T>(bootstrap: string, ask: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    return await ask(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Topics and groups of a billing run that are on the broker now. */
function leftovers(bootstrap: string): Promise<string[]> {
  return withAdmin(bootstrap, async (admin) => {
    const topics = await admin.listTopics();
    const { groups } = await admin.listGroups();
    const all = [...topics, ...groups.map(({ groupId }) => `group ${groupId}`)];
    return all.filter((name) => /^(usage-|invoices|billing|group billing$)/.test(name)).sort();
  });
}

/** What an earlier test left, killed processes' group included. */
async function removeLeftovers(bootstrap: string): Promise<void> {
  const cluster = new BillingCluster(bootstrap);
  await cluster.connect();
  await cluster.removeAll(['billing-1', 'billing-2']);
  await cluster.close();
  await expectNothingLeft(bootstrap);
}

/** A broker may list a topic for a moment after its controller has deleted it. */
async function expectNothingLeft(bootstrap: string): Promise<void> {
  await expect.poll(() => leftovers(bootstrap), { timeout: 60_000 }).toEqual([]);
}

function reportOf({ stdout }: Launched): Record<string, number | string> {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
}

/** A run takes some 20 s on two free cores, and each of its parts less. */
const RUN_MS = 300_000;

const EXACT = { rejected: 0, lost: 0, duplicated: 0, wrong: 0 };

beforeAll(build);
afterEach(endAll);

for (const version of ['3.9.1', '4.3.1'] satisfies KafkaVersion[]) {
  describeReal(`billing on Kafka ${version}`, () => {
    test('is exact while three processes are killed, with Apicurio, and removes its traces', async () => {
      const { bootstrap } = await sharedKafka(version);
      const { url } = await sharedApicurio();
      await removeLeftovers(bootstrap);
      const folder = mkdtempSync(join(tmpdir(), 'billing-'));
      try {
        const file = join(folder, 'invoices.jsonl');
        const run = launchBilling([
          ...['--json', '--events', '20000', '--kills', '3', '--broker', bootstrap],
          ...['--registry', url, '--invoices', file],
        ]);
        expect(await run.ended(), run.stderr).toBe(0);
        const report = reportOf(run);
        expect(Object.keys(report)).toEqual(FIELDS);
        expect(report).toMatchObject({
          ...EXACT,
          broker: bootstrap,
          events: 20_000,
          dead: 10,
          kills: 3,
        });
        const invoices = readFileSync(file, 'utf8')
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line) as { customerId: string; events: number });
        expect(invoices.length).toBe(report.invoices);
        const billed = invoices.reduce((sum, { events }) => sum + events, 0);
        expect(billed + Number(report.late)).toBe(report.events);
        const ids = invoices.map(({ customerId }) => Buffer.from(customerId));
        expect(ids).toEqual([...ids].sort(Buffer.compare));
        await expectNothingLeft(bootstrap);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    test('refuses what an earlier run kept, and says what to delete', async () => {
      const { bootstrap } = await sharedKafka(version);
      await removeLeftovers(bootstrap);
      const args = ['--json', '--events', '300', '--kills', '0', '--broker', bootstrap];
      const first = launchBilling([...args, '--keep']);
      expect(await first.ended(), first.stderr).toBe(0);
      const kept = await leftovers(bootstrap);
      expect(kept).toEqual([
        ...['billing-usage-by-hour-changelog', 'group billing', 'invoices'],
        ...['usage-dead', 'usage-events', 'usage-late'],
      ]);
      const second = launchBilling(args);
      expect(await second.ended()).toBe(2);
      expect(second.stderr).toContain(`On ${bootstrap}: `);
      expect(second.stderr).toContain(`the group 'billing' has committed offsets`);
      expect(second.stderr).toContain(`topic 'usage-events' is not empty`);
      expect(second.stderr).toContain(`topic 'invoices' is not empty`);
      expect(second.stderr).toMatch(/Delete these topics and the group/);
      expect(second.stderr).not.toMatch(/^\s+at /m);
      expect(await leftovers(bootstrap)).toEqual(kept);
      await removeLeftovers(bootstrap);
    });

    test('refuses a topic with another partition count', async () => {
      const { bootstrap } = await sharedKafka(version);
      await removeLeftovers(bootstrap);
      await createTopics(bootstrap, [{ topic: 'usage-events', numPartitions: 4 }]);
      const run = launchBilling(['--events', '300', '--broker', bootstrap]);
      expect(await run.ended()).toBe(2);
      expect(run.stderr).toContain(`topic 'usage-events' has 4 partitions instead of 3`);
      expect(await leftovers(bootstrap)).toEqual(['usage-events']);
      await removeLeftovers(bootstrap);
    });
  });
}

describeReal('billing on a Kafka of its own', () => {
  // Not 4.3: restarted alone, it leaves decided transactions without their markers (KAFKA-20734).
  test('stays exact when the broker is restarted in the middle of the run', async () => {
    const kafka = await startKafka({ version: '3.9.1', settings: STARTED_AGAIN });
    try {
      const run = launchBilling([
        ...['--json', '--events', '60000', '--kills', '6', '--broker', kafka.bootstrap],
      ]);
      await run.said(/kill 1 of 6/, RUN_MS);
      // Without a broker the run gets no further.
      await kafka.restart(() => expect(run.stderr).not.toContain('comparing'));
      expect(await run.ended(), run.stderr).toBe(0);
      expect(reportOf(run)).toMatchObject({ ...EXACT, events: 60_000, kills: 6 });
      await expectNothingLeft(kafka.bootstrap);

      // A broker that is gone does not keep Ctrl-C from working.
      const last = launchBilling(['--events', '200000', '--broker', kafka.bootstrap]);
      await last.said(/2 instances bill/, RUN_MS);
      await kafka.kill();
      last.signal('SIGINT');
      expect(await last.ended(), last.stderr).toBe(130);
      expect(survivors(last)).toEqual([]);
    } finally {
      await kafka.stop();
    }
  });
});

describeReal('Ctrl-C', () => {
  test('ends a run on a broker with 130, without processes, topics or a group left', async () => {
    const { bootstrap } = await sharedKafka('4.3.1');
    await removeLeftovers(bootstrap);
    const run = launchBilling(['--events', '200000', '--broker', bootstrap]);
    await run.said(/kill 1 of 3/, RUN_MS);
    pressCtrlC(run);
    expect(await run.ended(), run.stderr).toBe(130);
    expect(survivors(run)).toEqual([]);
    await expectNothingLeft(bootstrap);
  });
});
