/** Billing instances as child processes: how they start, stop, freeze and are left alone. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { memoryRegistry, serveRegistry } from '../../../src/index.ts';
import { PARTITIONS, TOPICS } from '../../../topologies/billing/cluster.ts';
import { BillingProcess } from '../../../topologies/billing/processes.ts';
import { registryAt } from '../../../topologies/billing/registry.ts';
import { registerSchemas } from '../../../topologies/billing/schemas.ts';
import { Client } from '../../broker/client.ts';
import { startEmbedded } from '../../integration/embedded.ts';
import { build } from './launched.ts';

const INSTANCE = fileURLToPath(
  new URL('../../../dist/topologies/billing/instance.js', import.meta.url),
);

/** Says that it froze before it says that it knows, as a record in hand may have it. */
const HASTY = `
  process.on('message', () => {
    process.send({ kind: 'frozen', partition: 0, offset: 0 });
    process.send({ kind: 'armed' });
  });
`;

/** Listens late, and says so, as an instance does on a slow machine. */
const SLOW = `
  // It stays, as an instance does: one that ends by itself may meet the signal when it listens no more.
  setInterval(() => {}, 1_000);
  setTimeout(() => {
    process.on('SIGTERM', () => process.exit(0));
    process.send({ kind: 'state', state: 'rebalancing', tasks: [] });
  }, 300);
`;

/** Started from a program of its own, and ended with the test. */
function started(text: string): { instance: BillingProcess; failures: readonly Error[] } {
  const folder = mkdtempSync(join(tmpdir(), 'billing-'));
  const program = join(folder, 'program.cjs');
  writeFileSync(program, text);
  const failures: Error[] = [];
  const failed = (error: Error) => void failures.push(error);
  const instance = new BillingProcess({ instanceId: 'one', args: [], failed, program });
  onTestFinished(async () => {
    await instance.end();
    rmSync(folder, { recursive: true });
  });
  instance.start();
  return { instance, failures };
}

test('an instance that is still starting is not killed by the order to stop', async () => {
  const { instance, failures } = started(SLOW);
  expect(await instance.stop()).toBe(0);
  expect(failures).toEqual([]);
});

test('an instance that ends while it starts can be stopped', async () => {
  const { instance, failures } = started('process.exit(7)');
  expect(await instance.stop()).toBe(7);
  expect(failures).toEqual([]);
});

test('an instance whose launcher was killed while it started ends by itself', async () => {
  build();
  const { broker, bootstrap, close } = await startEmbedded();
  onTestFinished(close);
  const client = new Client(broker);
  for (const topic of TOPICS) client.createTopic(topic, PARTITIONS);
  const registry = await serveRegistry(memoryRegistry(), { port: 0 });
  onTestFinished(() => registry.close());
  await registerSchemas(registryAt(registry.url));
  const args = ['--broker', bootstrap, '--registry', registry.url];
  const instance = fork(INSTANCE, args, { stdio: 'ignore' });
  onTestFinished(() => void instance.kill('SIGKILL'));
  instance.disconnect();
  const [code] = await once(instance, 'exit');
  expect(code).toBe(1);
});

test('an instance that freezes at a record in hand is heard, however early', async () => {
  const { instance, failures } = started(HASTY);
  const { armed, frozen } = instance.freezeAfter(1);
  await armed;
  await frozen;
  await instance.kill();
  expect(failures).toEqual([]);
});
