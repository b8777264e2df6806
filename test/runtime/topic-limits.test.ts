/** What topics take: sizes and times that their brokers would refuse in the middle of a step. */
import { afterEach, expect, test } from 'vitest';
import type { EscapementError } from '../../src/errors.ts';
import { count, long, mapValues, repartition, selectKey, to, topology } from '../../src/index.ts';
import { decodeResponse, encodeResponse } from '../../src/kafka/protocol/codec.ts';
import { describeConfigs } from '../../src/kafka/protocol/describe-configs.ts';
import { Lab, text } from '../exactness/lab.ts';
import type { Wire } from '../exactness/wire.ts';

let lab: Lab;
afterEach(() => lab.close());

const growing = (bytes: number) => {
  const app = topology('grow');
  app.stream('in', { key: text, value: text }).pipe(
    mapValues((value) => value.padEnd(bytes, '.')),
    to('out', { key: text, value: text }),
  );
  return app;
};

/** As when the topic was changed after the start. */
function hideLimits(wire: Wire): void {
  wire.between = async ({ request: { apiKey, apiVersion } }, pass) => {
    const answer = await pass();
    if (apiKey !== describeConfigs.key) return answer;
    const told = decodeResponse(describeConfigs, apiVersion, answer);
    const results = told.results.map((each) => ({ ...each, configs: [] }));
    return encodeResponse(describeConfigs, apiVersion, { ...told, results });
  };
}

test('an output that takes less than may be sent to it is refused at start, and named', async () => {
  lab = await Lab.open({ in: 1 });
  lab.client.createTopic('out', 1, { 'max.message.bytes': '1000' });
  const error = await lab.start(growing(9), lab.wire()).then(
    () => null,
    (cause: unknown) => cause as EscapementError,
  );
  expect(error).toMatchObject({ code: 'TOPIC_MISMATCH' });
  expect(error?.message).toMatch(/'out' has max\.message\.bytes '1000', recordBytesMax asks for/);
  expect(error?.message).toMatch(/Raise max\.message\.bytes of the topics, or lower the options/);
});

test('a batch that the broker finds too large ends the instance with the place of its input', async () => {
  lab = await Lab.open({ in: 1 });
  lab.client.createTopic('out', 1, { 'max.message.bytes': '1000' });
  lab.write('in', [['small', 'a']]);
  const wire = lab.wire();
  hideLimits(wire);
  const application = await lab.start(growing(500), wire);
  await lab.reached(1);
  expect(await lab.committed('out', () => 'written')).toEqual(['small=written']);
  lab.write('in', [
    ['large', 'b'],
    ['large', 'c'],
  ]);
  const error = await application.stopped().catch((cause: unknown) => cause);
  expect(error).toMatchObject({
    code: 'RECORD_TOO_LARGE',
    at: { topic: 'in', partition: 0, offset: 1 },
  });
  expect((error as Error).message).toMatch(
    /step that begins at in-0@1 was refused.*out-0.*MESSAGE_TOO_LARGE.*max\.message\.bytes/s,
  );
  expect(await lab.committed('out', () => 'written')).toEqual(['small=written']);
  expect(lab.offset().offset).toBe(1);
});

test.each([1, 2] as const)(
  'events of the far future pass the internal topics, on transactions v%i',
  async (transactionVersion) => {
    lab = await Lab.open({}, { transactionVersion });
    const anyTime = { 'message.timestamp.after.max.ms': '9223372036854775807' };
    lab.client.createTopic('in', 1, anyTime);
    lab.client.createTopic('out', 1, anyTime);
    const far = Date.now() + 3_650 * 86_400_000;
    lab.write('in', [['k', 'word', far]]);
    const app = topology('future');
    app.stream('in', { key: text, value: text }).pipe(
      selectKey((record) => record.value),
      repartition({ name: 'by-word', key: text, value: text }),
      count({ name: 'counts', key: text }),
      to('out', { key: text, value: long() }),
    );
    const application = await lab.start(app, lab.wire());
    await Promise.race([lab.reached(1, 'app-by-word-repartition'), application.stopped()]);
    expect(await lab.committed('out')).toEqual(['word=1']);
    expect(await lab.committed('app-counts-changelog')).toEqual(['word=1']);
  },
);
