/**
 * A process whose application ended has nothing left that keeps it alive: no socket, no timer. It is
 * not ended by `process.exit`, and by an unhandled rejection only where a failure would go unheard.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Broker } from '../src/broker/broker.ts';
import { type Listener, listen } from '../src/broker/tcp.ts';
import { systemPorts } from '../src/ports.ts';
import { Client } from './broker/client.ts';
import { SaslDoor } from './kafka/transport/sasl-door.ts';
import { build } from './topologies/billing/launched.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

let child: ChildProcess | null = null;

interface Ended {
  readonly code: unknown;
  readonly said: string;
  /** What Node itself says of it. */
  readonly errors: string;
}

/** Runs a program over the built library to its natural end; `more` are options of `run`. */
async function program(kafka: string, then: string, more = ''): Promise<Ended> {
  const text = `
    import { mapValues, run, string, to, topology } from 'escapement';
    const app = topology('copy');
    const serdes = { key: string(), value: string() };
    app.stream('in', serdes).pipe(mapValues(() => { throw new Error('no'); }), to('out', serdes));
    try {
      const application = await run(app, { applicationId: 'app', kafka: ${kafka}, ${more} });
      ${then}
    } catch (error) {
      console.log(error.code);
      process.exitCode = 3;
    }`;
  const running = spawn(process.execPath, ['--input-type=module', '-e', text], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child = running;
  let said = '';
  running.stdout.on('data', (piece) => {
    said += piece;
  });
  let errors = '';
  running.stderr.on('data', (piece) => {
    errors += piece;
  });
  // The test's own time limit is the bound: a process that lives on is the defect.
  const [code] = await once(running, 'close');
  return { code, said: said.trim(), errors: errors.trim() };
}

beforeAll(build);

let broker: Broker;
let listener: Listener;
let door: SaslDoor;
beforeEach(async () => {
  broker = new Broker({ ports: systemPorts });
  listener = await listen(broker, { host: '127.0.0.1', port: 0 });
  door = new SaslDoor();
});
afterEach(async () => {
  child?.kill('SIGKILL');
  door.stop();
  await listener.close();
  broker.close();
});

/** Topics without a record, as the option `kafka`. */
function empty(): string {
  const client = new Client(broker);
  client.createTopic('in');
  client.createTopic('out');
  return `{ brokers: ['127.0.0.1:${listener.port}'] }`;
}

/** The same with a record, which stops the application. */
function poisoned(): string {
  const kafka = empty();
  new Client(broker).produce('in', 0, { values: ['x'], key: 'k' });
  return kafka;
}

test('after a refused login', async () => {
  const port = await door.start();
  const sasl = "{ mechanism: 'plain', username: 'me', password: 'wrong' }";
  const kafka = `{ brokers: ['127.0.0.1:${port}'], sasl: ${sasl} }`;
  expect(await program(kafka, '')).toEqual({ code: 3, said: 'AUTHENTICATION_FAILED', errors: '' });
  expect(door.logins).toBe(1);
});

test('after a failure in the middle of the work', async () => {
  const ended = await program(poisoned(), 'await application.stopped();');
  expect(ended).toEqual({ code: 3, said: 'RECORD_FAILED', errors: '' });
});

test('after an orderly stop', async () => {
  const ended = await program(empty(), "await application.stop(); console.log('stopped');");
  expect(ended).toEqual({ code: 0, said: 'stopped', errors: '' });
});

test.each(['', "signals: 'ignore'", 'listener: { stateChanged: () => {} }'])(
  'a failure that nobody asks for ends the process with its message and code 1 (%s)',
  async (more) => {
    const { code, errors } = await program(poisoned(), '', more);
    expect(code).toBe(1);
    expect(errors).toContain("code: 'RECORD_FAILED'");
    expect(errors).toContain('Error: no');
  },
);

test.each([
  ['the listener', 'listener: { failed: ({ code }) => console.log(code) }'],
  ['the log', 'log: { debug() {}, info() {}, warn() {}, error: ({ code }) => console.log(code) }'],
])('a failure that %s is told of leaves the process alone', async (_, more) => {
  const ended = await program(poisoned(), '', more);
  expect(ended).toEqual({ code: 0, said: 'RECORD_FAILED', errors: '' });
});

test('who asks after an unheard failure gets it all the same, once', async () => {
  const hook =
    "process.on('unhandledRejection', ({ code }) => { console.log('unheard', code); ask(); });";
  const ask = 'const ask = () => application.stopped().catch(({ code }) => console.log(code));';
  const ended = await program(poisoned(), `${ask} ${hook}`);
  expect(ended).toMatchObject({ code: 0, said: 'unheard RECORD_FAILED\nRECORD_FAILED' });
});

test('a membership that is refused is told by the rejection of `run` alone', async () => {
  await listener.close();
  broker.close();
  broker = new Broker({ ports: systemPorts, sessionTimeoutMaxMs: 5_000 });
  listener = await listen(broker, { host: '127.0.0.1', port: 0 });
  const ended = await program(empty(), '');
  expect(ended).toMatchObject({
    code: 3,
    said: expect.not.stringMatching(/undefined|^$/),
    errors: '',
  });
});
