import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { BillingProcess } from '../../../topologies/billing/processes.ts';

/** Says that it froze before it says that it knows, as a record in hand may have it. */
const HASTY = `
  process.on('message', () => {
    process.send({ kind: 'frozen', partition: 0, offset: 0 });
    process.send({ kind: 'armed' });
  });
`;

test('an instance that freezes at a record in hand is heard, however early', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'billing-'));
  const program = join(folder, 'hasty.cjs');
  writeFileSync(program, HASTY);
  const failures: Error[] = [];
  const failed = (error: Error) => void failures.push(error);
  const instance = new BillingProcess({ instanceId: 'one', args: [], failed, program });
  onTestFinished(async () => {
    await instance.end();
    rmSync(folder, { recursive: true });
  });
  instance.start();
  const { armed, frozen } = instance.freezeAfter(1);
  await armed;
  await frozen;
  await instance.kill();
  expect(failures).toEqual([]);
});
