/** kcat, and with it librdkafka, against the embedded broker's TCP door. */
import { spawn } from 'node:child_process';
import { afterEach, expect, test } from 'vitest';
import { batch } from '../broker/batch.ts';
import { Client } from '../broker/client.ts';
import { createTopics } from '../topics.ts';
import { type Embedded, startEmbedded } from './embedded.ts';
import { describeCommand } from './real/parts.ts';

const RUN_MS_MAX = 60_000;
let embedded: Embedded | undefined;
afterEach(() => embedded?.close());

/** Runs kcat to its end with text on its standard input; answers what it printed. */
function kcat(bootstrap: string, args: readonly string[], input = ''): Promise<string> {
  const quiet = ['-b', bootstrap, '-q', ...args];
  return new Promise((resolve, reject) => {
    const child = spawn('kcat', quiet, { stdio: 'pipe', timeout: RUN_MS_MAX });
    let printed = '';
    let errors = '';
    child.stdout.on('data', (piece) => {
      printed += piece;
    });
    child.stderr.on('data', (piece) => {
      errors += piece;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(printed);
      else reject(new Error(`kcat ${quiet.join(' ')} ended with ${code}: ${errors}`));
    });
    child.stdin.end(input);
  });
}

const sorted = (text: string) => text.split('\n').filter(Boolean).sort();

describeCommand('kcat', 'kcat over the embedded broker', () => {
  test.each([
    { transactionVersion: 1, nodes: 1 },
    { transactionVersion: 2, nodes: 3 },
  ] as const)('lists, produces and consumes, alone and in a group: %o', async (options) => {
    embedded = await startEmbedded(options);
    const { bootstrap } = embedded;
    await createTopics(bootstrap.split(',')[0]!, [{ topic: 'lines', numPartitions: 3 }]);
    expect(await kcat(bootstrap, ['-L', '-t', 'lines'])).toContain('with 3 partitions');
    const lines = Array.from({ length: 60 }, (_, n) => `k${n}:v${n}`);
    for (const [index, codec] of ['none', 'gzip', 'snappy', 'lz4', 'zstd', 'none'].entries()) {
      const some = lines.slice(index * 10, index * 10 + 10).join('\n');
      const idempotent = `enable.idempotence=${index % 2 === 0}`;
      await kcat(bootstrap, ['-P', '-t', 'lines', '-K:', '-z', codec, '-X', idempotent], some);
    }
    const format = ['-f', '%k:%s\n'];
    const all = await kcat(bootstrap, ['-C', '-t', 'lines', '-e', ...format]);
    expect(sorted(all)).toEqual([...lines].sort());
    const reset = ['-X', 'auto.offset.reset=earliest'];
    const read = () => kcat(bootstrap, [...reset, '-e', ...format, '-G', 'readers', 'lines']);
    expect(sorted(await read())).toEqual([...lines].sort());
    // The group has committed where it was.
    await kcat(bootstrap, ['-P', '-t', 'lines', '-K:'], 'last:one');
    expect(sorted(await read())).toEqual(['last:one']);
  });

  test('reads what is committed, or all of it', async () => {
    embedded = await startEmbedded();
    const { broker, bootstrap } = embedded;
    await createTopics(bootstrap, [{ topic: 'ledger', numPartitions: 1 }]);
    const client = new Client(broker);
    for (const result of ['commit', 'abort'] as const) {
      const producer = client.init(result);
      client.addPartitions(result, producer, 'ledger', [0]);
      const transaction = {
        transactional: 'transactional',
        epoch: producer.producerEpoch,
      } as const;
      const { producerId } = producer;
      const records = batch({ ...transaction, producerId, sequence: 0, values: [result] });
      client.produce('ledger', 0, records, result);
      client.end(result, producer, result);
    }
    const { log } = broker.topics.partition('ledger', 0)!;
    await expect.poll(() => log.lastStableOffset, { timeout: RUN_MS_MAX }).toBe(4);
    const read = async (level: string) =>
      sorted(await kcat(bootstrap, ['-C', '-t', 'ledger', '-e', '-X', `isolation.level=${level}`]));
    expect(await read('read_committed')).toEqual(['commit']);
    expect(await read('read_uncommitted')).toEqual(['abort', 'commit']);
  });
});
