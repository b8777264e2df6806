/**
 * A process whose application ended has nothing left that keeps it alive: no socket, no timer. It is
 * not ended by `process.exit` and not by an unhandled rejection.
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

/** Runs a program over the built library to its natural end. */
async function program(kafka: string, then: string): Promise<{ code: unknown; said: string }> {
  const text = `
    import { mapValues, run, string, to, topology } from 'escapement';
    const app = topology('copy');
    const serdes = { key: string(), value: string() };
    app.stream('in', serdes).pipe(mapValues(() => { throw new Error('no'); }), to('out', serdes));
    try {
      const application = await run(app, { applicationId: 'app', kafka: ${kafka} });
      ${then}
    } catch (error) {
      console.log(error.code);
      process.exitCode = 3;
    }`;
  const running = spawn(process.execPath, ['--input-type=module', '-e', text], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child = running;
  let said = '';
  running.stdout.on('data', (piece) => {
    said += piece;
  });
  // The test's own time limit is the bound: a process that lives on is the defect.
  const [code] = await once(running, 'close');
  return { code, said: said.trim() };
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

test('after a refused login', async () => {
  const port = await door.start();
  const sasl = "{ mechanism: 'plain', username: 'me', password: 'wrong' }";
  const kafka = `{ brokers: ['127.0.0.1:${port}'], sasl: ${sasl} }`;
  expect(await program(kafka, '')).toEqual({ code: 3, said: 'AUTHENTICATION_FAILED' });
  expect(door.logins).toBe(1);
});

test('after a failure in the middle of the work', async () => {
  const client = new Client(broker);
  client.createTopic('in');
  client.createTopic('out');
  client.produce('in', 0, { values: ['x'], key: 'k' });
  const kafka = `{ brokers: ['127.0.0.1:${listener.port}'] }`;
  const ended = await program(kafka, 'await application.stopped();');
  expect(ended).toEqual({ code: 3, said: 'RECORD_FAILED' });
});

test('after an orderly stop', async () => {
  const client = new Client(broker);
  client.createTopic('in');
  client.createTopic('out');
  const kafka = `{ brokers: ['127.0.0.1:${listener.port}'] }`;
  const ended = await program(kafka, "await application.stop(); console.log('stopped');");
  expect(ended).toEqual({ code: 0, said: 'stopped' });
});
