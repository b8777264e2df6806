/**
 * What every public function makes of options that it does not know, and of what is no option, no
 * topology and no cluster at all: an error of ours that names the mistake and the mend, at once.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as door from '../src/index.ts';
import * as testing from '../src/testing.ts';
import { checkLaws } from '../src/testing-laws.ts';

/** As plain JavaScript sees a door. */
// biome-ignore lint/suspicious/noExplicitAny: what the compiler would refuse is what is tested
type Loose = any;
const d = door as Loose;
const t = testing as Loose;

const text = door.string();
const serdes = { key: text, value: text };

function copy() {
  const app = door.topology('copy');
  app.stream('in', serdes).pipe(door.to('out', serdes));
  return app;
}

const applicationId = 'app';
const kafka = { brokers: ['127.0.0.1:9092'] };
const registry = door.memoryRegistry();
const avro = { subject: 's', schema: '"string"', registry };
const laws = { topology: copy, inputs: {} };
const crash = { topology: copy, topics: { in: 1, out: 1 }, inputs: [] };
const admin = { kafka };
const window = { sizeMs: 1, graceMs: 0 };
const state = { name: 'n', init: () => 0, add: () => 0, ...serdes };
const stream = (options: object) => d.topology('t').stream('in', { ...serdes, ...options });
const broker = () => new testing.Broker({ ports: testing.systemPorts });

async function refusal(call: () => unknown): Promise<{ code: string; message: string }> {
  try {
    await call();
  } catch (error) {
    expect(error).toBeInstanceOf(door.EscapementError);
    return error as door.EscapementError;
  }
  return expect.fail('it was taken');
}

test.each<[string, () => unknown, string]>([
  ['stream', () => stream({ onerror: 'skip' }), 'onerror is not an option: did you mean onError?'],
  ['count', () => d.count({ nam: 'n', key: text }), 'nam is not an option: did you mean name?'],
  ['count', () => d.count('counts'), 'its options are an object ({ name, key }), not a text'],
  ['aggregate', () => d.aggregate({ ...state, inti: 0 }), 'inti is not an option'],
  ['windowedAggregate', () => d.windowedAggregate({ ...state, windw: window }), 'windw is not an'],
  [
    'window',
    () => d.windowedAggregate({ ...state, window: { ...window, graceMS: 5 } }),
    'graceMS is not an option: did you mean graceMs?',
  ],
  ['tumbling', () => d.tumbling({ ...window, advanceMs: 1 }), 'advanceMs is not an option'],
  ['repartition', () => d.repartition({ name: 'r', ...serdes, partition: 1 }), 'mean partitions?'],
  ['to', () => d.to('out', { ...serdes, partitioner: 1 }), 'partitioner is not an option'],
  ['mapAsync', () => d.mapAsync(() => 1, { concurency: 5 }), 'did you mean concurrency?'],
  ['values', () => d.values((s: unknown) => s, { timeout: 5 }), 'did you mean timeoutMs?'],
  [
    'avro',
    () => d.avro({ ...avro, longs: 'bigint' }),
    'longs is not an option: did you mean long?',
  ],
  ['avro', () => d.avro({ ...avro, long: 'int' }), "long must be 'number' or 'bigint', not 'int'"],
  ['avro', () => d.avro({ subject: 's' }), 'it needs schema, registry'],
  ['avro', () => d.avro(), 'it needs subject, schema, registry'],
  ['serde', () => d.serde({ encoder: 1 }), 'encoder is not an option: did you mean encode?'],
  ['confluentRegistry', () => d.confluentRegistry({ url: 'http://a' }), 'the URL is called host'],
  ['confluentRegistry', () => d.confluentRegistry(), 'it needs host'],
  [
    'auth',
    () => d.confluentRegistry({ host: 'http://a', auth: { user: 'u', password: 'p' } }),
    'user is not an option',
  ],
  ['memoryRegistry', () => d.memoryRegistry({ subjects: [] }), 'subjects is not an option'],
  ['serveRegistry', () => d.serveRegistry(registry, { prt: 1 }), 'did you mean port?'],
  ['serveRegistry', () => d.serveRegistry(registry), 'it needs port'],
  ['openAdmin', () => d.openAdmin({ ...admin, timeout: 1 }), 'did you mean timeoutMs?'],
  ['openAdmin', () => d.openAdmin(kafka), 'brokers belongs into kafka'],
  ['openAdmin', () => d.openAdmin({ ...admin, timeoutMs: 'x', log: 5 }), 'log must be a logger'],
  ['openAdmin', () => d.openAdmin(), 'kafka is missing'],
  ['kafkajsTransport', () => d.kafkajsTransport({ brokers: 'a:1' }, {}), "a list: ['a:1']"],
  ['TestDriver', () => t.TestDriver.start({ topology: copy, partitons: 1 }), 'mean partitions?'],
  [
    'TestDriver',
    () => t.TestDriver.start({ topology: copy, replay: 'no' }),
    "replay must be 'on' or 'off', not 'no'",
  ],
  [
    'crashTest',
    () => t.crashTest({ ...crash, evry: 200 }),
    'evry is not an option: did you mean every',
  ],
  ['crashTest', () => t.crashTest({ ...crash, every: 0 }), 'every must be a whole number from 1'],
  ['crashTest', () => t.crashTest({ ...crash, inputs: [{ topik: 'in' }] }), 'did you mean topic?'],
  ['crashTest', () => t.crashTest({ topology: copy }), 'it needs topics, inputs'],
  ['checkLaws', () => (checkLaws as Loose)({ ...laws, run: 5 }), 'did you mean runs?'],
  ['checkLaws', () => (checkLaws as Loose)(), 'it needs topology, inputs'],
  ['crashTest', () => t.crashTest({ ...crash, inputs: 5 }), 'inputs is not an array'],
  [
    'crashTest',
    () => t.crashTest({ ...crash, topics: { in: 0 } }),
    "topics gives 'in' 0 partitions",
  ],
  [
    'checkLaws',
    () => (checkLaws as Loose)({ topology: copy, inputs: { in: 5 } }),
    "'in' needs an arbitrary of fast-check",
  ],
  ['checkLaws', () => (checkLaws as Loose)({ ...laws, laws: 'serde' }), '`laws` is a list of'],
  [
    'checkLaws',
    () =>
      (checkLaws as Loose)({
        topology: copy,
        inputs: { in: fc.record({ value: fc.string() }) },
        orderInsensitive: { out: 'last' },
      }),
    "out must be 'latest' or 'all', not 'last'",
  ],
  ['simulate', () => t.simulate({ workload: {}, seed: 1, recrods: 5 }), 'did you mean records?'],
  ['simulate', () => t.simulate({ seed: 1 }), 'it needs workload'],
  ['Broker', () => new t.Broker({ ports: t.systemPorts, node: 3 }), 'did you mean nodes?'],
  ['Broker', () => new t.Broker(), 'it needs ports'],
  ['listen', () => t.listen(broker(), { host: '', port: 0, prot: 1 }), 'did you mean port?'],
  ['listen', () => t.listen(broker()), 'it needs host, port'],
  [
    'brokerTransport',
    () => t.brokerTransport(broker(), { client: 'x' }),
    'client is not an option',
  ],
])('%s refuses what it would otherwise not look at (%#)', async (_, call, problem) => {
  const error = await refusal(call);
  expect(error.code).toBe('OPTION_INVALID');
  expect(error.message).toContain(problem);
});

test('the options of a record that a test pipes are looked at, too', async () => {
  const driver = await testing.TestDriver.start({ topology: copy });
  const input = driver.input('in', serdes) as Loose;
  expect((await refusal(() => input.pipe('k', 'v', { timestamp: 5 }))).message).toContain(
    'timestamp is not an option: did you mean timestampMs?',
  );
  await driver.close();
});

test('a driver names the serdes that it needs', async () => {
  const driver = (await testing.TestDriver.start({ topology: copy, replay: 'off' })) as Loose;
  expect((await refusal(() => driver.input('in'))).message).toBe(
    "input('in'): it needs a serde as key and value, such as string().",
  );
  expect((await refusal(() => driver.output('out', { key: text, value: 'string' }))).message).toBe(
    "output('out'): it needs a serde as value, such as string().",
  );
  await driver.close();
});

test('describe takes what run takes', async () => {
  expect(door.describe(copy())).toBe(door.describe(copy().build()));
  expect((await refusal(() => d.describe(copy))).code).toBe('TOPOLOGY_INVALID');
});

test('run lists every problem: its own options, the cluster and the listener beside the numbers', async () => {
  const given = {
    applicationId: 'not a name',
    brokers: kafka.brokers,
    kafka: { brokers: ['localhost', 5], tls: true },
    signals: 'no',
    log: 5,
    listener: { faild: () => {}, failed: 'x' },
    sliceMs: 0,
    groupId: 'app',
    logg: 1,
  };
  const { code, message } = await refusal(() => d.run(copy(), given));
  expect(code).toBe('OPTION_INVALID');
  for (const problem of [
    'applicationId must be',
    "brokers is not an option: brokers belongs into kafka: { brokers: ['127.0.0.1:9092'] }",
    "kafka.brokers: 'localhost' is not 'host:port'",
    "kafka.brokers: 5 is not 'host:port'",
    'kafka: tls is not an option: it is called ssl',
    "signals must be 'handle' or 'ignore', not 'no'",
    'log must be a logger with debug, info, warn, error: it lacks debug, info, warn, error',
    'listener: faild is not an option: did you mean failed?',
    "listener.failed must be a function, not 'x'",
    'sliceMs must be a whole number',
    'groupId is not an option: the group is called applicationId',
    'logg is not an option: did you mean log?',
  ]) {
    expect(message).toContain(problem);
  }
});

test('a listener of a class may have fields of its own', async () => {
  class Counting {
    failures = 0;
    failed = () => {
      this.failures += 1;
    };
  }
  const given = { applicationId, kafka, listener: new Counting(), sliceMs: 0 };
  expect((await refusal(() => d.run(copy(), given))).message).not.toContain('listener');
});

test.each<[string, unknown, string]>([
  ['nothing', undefined, "kafka is missing: give { brokers: ['127.0.0.1:9092'] }"],
  ['an address', '127.0.0.1:9092', 'kafka is a text: give { brokers:'],
  ['a list', ['127.0.0.1:9092'], 'kafka is an array: give { brokers:'],
  ['brokers as text', { brokers: 'a:1' }, "kafka.brokers is a list: ['a:1']"],
  ['no brokers', { clientId: 'x' }, 'kafka.brokers is missing'],
  ['brokers of Java', { 'bootstrap.servers': 'a:1' }, 'it is called brokers'],
  ['an empty list', { brokers: [] }, 'kafka.brokers is empty'],
  ['a URL', { brokers: ['kafka://a:1'] }, "'kafka://a:1' is not 'host:port'"],
  ['a slip', { ...kafka, sals: {} }, 'kafka: sals is not an option: did you mean sasl?'],
  ['no transport', { transport: {} }, 'kafka.transport must be a transport, not an object'],
])('run with %s as kafka says at once how a cluster is named', async (_, given, problem) => {
  const { code, message } = await refusal(() => d.run(copy(), { applicationId, kafka: given }));
  expect(code).toBe('OPTION_INVALID');
  expect(message).toContain(problem);
  expect(message.length).toBeLessThan(600);
});

test.each<[string, () => unknown]>([
  ['run', () => d.run(copy(), { applicationId, kafka: { brokers: 'me:geheim@a:1' } })],
  ['run', () => d.run(copy(), { applicationId, kafka: { brokers: ['kafka://me:geheim@a:1'] } })],
  ['run', () => d.run(copy(), { applicationId, kafka: 'me:geheim@a:1' })],
  ['run', () => d.run(copy(), { applicationId, kafka: { brokers: ['a:1'], sals: 'geheim' } })],
  ['confluentRegistry', () => d.confluentRegistry({ host: 'http://a', auth: 'me:geheim' })],
  ['openAdmin', () => d.openAdmin('me:geheim@a:1')],
])('%s shows nothing of a password that stands in the wrong place (%#)', async (_, call) => {
  const { code, message } = await refusal(call);
  expect(code).toBe('OPTION_INVALID');
  expect(message).not.toContain('geheim');
});

test('run without options says what they are', async () => {
  const { code, message } = await refusal(() => d.run(copy()));
  expect(code).toBe('OPTION_INVALID');
  expect(message).toContain("{ applicationId: 'my-app', kafka: { brokers: ['127.0.0.1:9092'] } }");
});

test.each<[string, () => unknown, string]>([
  ['a function', () => copy, 'it is a function that makes one: call it'],
  ['nothing', () => undefined, 'a pipeline that ends in to() returns nothing'],
  ['a stream', () => d.topology('t').stream('in', serdes), 'not a stream or another object'],
])('run refuses %s in place of a topology', async (_, given, problem) => {
  const { code, message } = await refusal(() => d.run(given(), { applicationId, kafka }));
  expect(code).toBe('TOPOLOGY_INVALID');
  expect(message).toContain(problem);
});

test.each<[string, (topology: unknown) => unknown]>([
  ['TestDriver.start', (topology) => t.TestDriver.start({ topology })],
  ['crashTest', (topology) => t.crashTest({ ...crash, topology })],
  ['checkLaws', (topology) => (checkLaws as Loose)({ inputs: { in: null }, topology })],
])('%s wants a function that draws a topology, and says why', async (where, start) => {
  const { code, message } = await refusal(() => start(copy()));
  expect(code).toBe('OPTION_INVALID');
  expect(message).toContain(`${where}: topology is not a function`);
  expect(message).toContain('for every crash');
  expect((await refusal(() => start(() => undefined))).code).toBe('TOPOLOGY_INVALID');
});

test('TestDriver.start without options says what is missing', async () => {
  const { message } = await refusal(() => t.TestDriver.start());
  expect(message).toContain('TestDriver.start: topology is missing');
});
