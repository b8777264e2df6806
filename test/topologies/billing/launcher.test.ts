/** `npm start` as a process, on the embedded broker: its command line, files, report and Ctrl-C. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { build, endAll, launchBilling, survivors } from './launched.ts';

const HOUR = 3_600_000;
/** Of a busy machine: a run is over in seconds. */
const RUN_MS = 300_000;

let folder: string;
beforeAll(() => {
  build();
  folder = mkdtempSync(join(tmpdir(), 'billing-'));
}, RUN_MS);
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(endAll);

describe('the command line', () => {
  const refusals: readonly { readonly args: readonly string[]; readonly says: RegExp }[] = [
    { args: ['--evnts', '5'], says: /unknown option '--evnts'\s.*--events/is },
    { args: ['json'], says: /'json' is not an option\. Options follow --.*npm start -- / },
    { args: ['--events', '0'], says: /--events <n>.*whole number from 1/ },
    { args: ['--events', '1e3'], says: /--events <n>.*'1e3'.*whole number from 1/ },
    { args: ['--kills', '-1'], says: /--kills <n>.*whole number from 0/ },
    { args: ['--events'], says: /--events <n>.*argument missing/ },
    { args: ['--broker', 'localhost'], says: /--broker <host:port>.*127\.0\.0\.1:9092/ },
    { args: ['--broker', 'one:9092,two'], says: /--broker <host:port>.*separated by commas/ },
    { args: ['--registry', 'localhost:8081'], says: /--registry <url>.*http or https URL/ },
    { args: ['--input', 'x.jsonl', '--events', '5'], says: /--input .*: --events cannot be given/ },
    {
      args: ['--input', 'x.jsonl', '--seed', '1', '--customers', '2'],
      says: /--input .*: --customers, --seed cannot be given/,
    },
  ];
  it.each(refusals)('refuses $args with a hint', async ({ args, says }) => {
    const run = launchBilling(args);
    expect(await run.ended()).toBe(2);
    expect(run.stderr).toMatch(says);
    expect(run.stderr).not.toMatch(/^\s+at /m);
    expect(run.stdout).toBe('');
  });

  it('lists every option in its help', async () => {
    const run = launchBilling(['--help']);
    expect(await run.ended()).toBe(0);
    const options = [...run.stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z]+)/gm)].map(([, name]) => name);
    expect(options).toEqual([
      '--events',
      '--customers',
      '--instances',
      '--kills',
      '--seed',
      '--broker',
      '--registry',
      '--input',
      '--invoices',
      '--json',
      '--keep',
      '--help',
    ]);
  });

  it('names the broker that does not answer, at once', async () => {
    const run = launchBilling(['--broker', '127.0.0.1:1']);
    expect(await run.ended()).toBe(2);
    expect(run.stderr).toMatch(/No Kafka broker answers at 127\.0\.0\.1:1 .*start one there/);
    expect(run.stderr).not.toMatch(/^\s+at /m);
  });

  it('says that what listens at the address is no broker, or does not answer', async () => {
    const answers = { foreign: 'HTTP/1.1 400 Bad Request\r\n\r\n', mute: '' };
    const says = { foreign: /does not speak the Kafka protocol/, mute: /no answer within 10 s/ };
    for (const kind of ['foreign', 'mute'] as const) {
      const server = createServer((socket) => socket.write(answers[kind]));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      const run = launchBilling(['--broker', `127.0.0.1:${port}`]);
      expect(await run.ended()).toBe(2);
      expect(run.stderr).toContain(`No Kafka broker answers at 127.0.0.1:${port}`);
      expect(run.stderr).toMatch(says[kind]);
      server.close();
    }
  });

  it('names the registry that does not answer', async () => {
    const run = launchBilling(['--registry', 'http://127.0.0.1:1', '--events', '10']);
    expect(await run.ended()).toBe(2);
    expect(run.stderr).toMatch(/registry at http:\/\/127\.0\.0\.1:1 .*Check the URL/);
    expect(run.stderr).not.toMatch(/^\s+at /m);
  });

  it('says that an input file cannot be read, or an invoice file not be written', async () => {
    const unread = launchBilling(['--input', join(folder, 'none.jsonl')]);
    expect(await unread.ended()).toBe(2);
    expect(unread.stderr).toMatch(/--input: .*none\.jsonl cannot be read .*does not exist/);
    expect(unread.stderr).not.toMatch(/^\s+at /m);
    const unwritten = launchBilling(['--events', '10', '--invoices', join(folder, 'no', 'x')]);
    expect(await unwritten.ended()).toBe(2);
    expect(unwritten.stderr).toMatch(/--invoices: .*\/no cannot be written to/);
    expect(unwritten.stderr).not.toMatch(/^\s+at /m);
  });
});

describe('a run', () => {
  it(
    'bills exactly while two processes are killed, and reports it as JSON',
    async () => {
      const run = launchBilling(['--json', '--events', '5000', '--kills', '2']);
      expect(await run.ended(), run.stderr).toBe(0);
      const lines = run.stdout.trimEnd().split('\n');
      const report = JSON.parse(lines.at(-1)!) as Record<string, unknown>;
      expect(Object.keys(report)).toEqual([
        'broker',
        'events',
        'rejected',
        'late',
        'dead',
        'invoices',
        'kills',
        'lost',
        'duplicated',
        'wrong',
        'elapsedMs',
        'recordsPerSecond',
      ]);
      expect(report).toMatchObject({
        broker: 'embedded',
        events: 5000,
        rejected: 0,
        dead: 10,
        kills: 2,
        lost: 0,
        duplicated: 0,
        wrong: 0,
      });
      expect(report.late).toBeGreaterThan(40);
      expect(survivors(run)).toEqual([]);
    },
    RUN_MS,
  );

  it(
    'bills the events of a file, reports its bad lines and writes exact, sorted invoices',
    async () => {
      const most = 2 ** 53 - 2;
      const usage = (fields: Record<string, unknown>): string =>
        JSON.stringify({ eventId: 'e', meter: 'EGRESS', quantity: 1, at: 0, ...fields });
      const lines = [
        usage({ customerId: 'zoë', quantity: most, at: 1_000 }),
        'nonsense',
        usage({ customerId: 'zoë', quantity: most, at: '1970-01-01T00:00:02Z', note: 'unknown' }),
        '',
        usage({ customerId: 'zoë', quantity: -1 }),
        usage({ customerId: 'abe', meter: 'STORAGE', quantity: 7, at: HOUR + 5 }),
        usage({ customerId: 'abe', meter: 'REQUESTS', quantity: 3, at: HOUR - 1 }),
        usage({ customerId: 'abe', meter: 'LIGHT' }),
        usage({ customerId: '\u{1f600}', meter: 'REQUESTS', quantity: 0 }),
        // Past the grace of its customer's first hour: late.
        usage({ customerId: 'late', at: 9 * HOUR }),
        usage({ customerId: 'late', at: 1 }),
      ];
      const input = join(folder, 'usage.jsonl');
      const invoices = join(folder, 'invoices.jsonl');
      writeFileSync(input, lines.join('\n'));
      const files = ['--input', input, '--invoices', invoices];
      const args = [...files, '--kills', '0', '--instances', '1', '--json'];
      const run = launchBilling(args);
      expect(await run.ended(), run.stderr).toBe(0);
      const rejected = run.stderr.split('\n').filter((line) => line.includes('rejected'));
      expect(rejected).toEqual([
        `${input}:2: rejected: not JSON`,
        `${input}:5: rejected: quantity is negative`,
        `${input}:8: rejected: meter "LIGHT" is unknown`,
      ]);
      const report = JSON.parse(run.stdout.trimEnd().split('\n').at(-1)!);
      expect(report).toMatchObject({ events: 7, rejected: 3, late: 1, dead: 0, kills: 0 });
      const written = readFileSync(invoices, 'utf8').trimEnd().split('\n');
      const shown = written.map((line) =>
        line.replace(/^\{"invoiceId":"[0-9a-f]{64}",/, '').replace(/\}$/, ''),
      );
      expect(shown).toEqual([
        `"customerId":"abe","windowStart":0,"windowEnd":${HOUR},"events":1,"quantities":{"REQUESTS":3},"amountMicros":12`,
        `"customerId":"abe","windowStart":${HOUR},"windowEnd":${2 * HOUR},"events":1,"quantities":{"STORAGE":7},"amountMicros":77`,
        `"customerId":"late","windowStart":${9 * HOUR},"windowEnd":${10 * HOUR},"events":1,"quantities":{"EGRESS":1},"amountMicros":90`,
        `"customerId":"zoë","windowStart":0,"windowEnd":${HOUR},"events":2,"quantities":{"EGRESS":18014398509481980},"amountMicros":1621295865853378200`,
        `"customerId":"\u{1f600}","windowStart":0,"windowEnd":${HOUR},"events":1,"quantities":{"REQUESTS":0},"amountMicros":0`,
      ]);
    },
    RUN_MS,
  );
});

describe('Ctrl-C', () => {
  it(
    'ends a run and its processes within seconds',
    async () => {
      const run = launchBilling(['--events', '200000']);
      await run.said(/kill 1 of 3/, RUN_MS);
      run.signal('SIGINT');
      expect(await run.ended(), run.stderr).toBe(130);
      expect(survivors(run)).toEqual([]);
      expect(run.stderr).toMatch(/\ninterrupted; the processes were stopped\n$/);
      expect(run.stderr).not.toMatch(/^\s+at /m);
    },
    RUN_MS,
  );

  it(
    'is not needed by the processes of a launcher that is killed',
    async () => {
      const run = launchBilling(['--events', '200000', '--instances', '1']);
      await run.said(/instances? bill/, RUN_MS);
      run.signal('SIGKILL');
      await expect.poll(() => survivors(run), { timeout: RUN_MS }).toEqual([]);
      expect(await run.ended()).toBe('SIGKILL');
    },
    RUN_MS,
  );

  it(
    'ends the waiting of --keep with the exit code of the run',
    async () => {
      const input = join(folder, 'empty.jsonl');
      writeFileSync(input, '\n\n');
      const run = launchBilling(['--input', input, '--kills', '0', '--instances', '1', '--keep']);
      await run.said(/stays up until Ctrl-C/, RUN_MS);
      await run.said(/Exact/, RUN_MS);
      expect(run.stdout).toMatch(/\| events +\| +0 \|/);
      run.signal('SIGINT');
      expect(await run.ended(), run.stderr).toBe(0);
      expect(survivors(run)).toEqual([]);
    },
    RUN_MS,
  );
});
