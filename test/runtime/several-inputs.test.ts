/** A task with several inputs, over the embedded broker. */
import { afterEach, expect, test } from 'vitest';
import { merge, string, to, topology } from '../../src/index.ts';
import { createTopics } from '../../src/kafka/protocol/create-topics.ts';
import { fetch } from '../../src/kafka/protocol/fetch.ts';
import { asText, Lab, text, until } from '../exactness/lab.ts';
import { bodyOf, Hold } from '../exactness/wire.ts';

let lab: Lab | null = null;
afterEach(async () => {
  await lab?.close();
  lab = null;
});

function merging() {
  const app = topology('merging');
  const left = app.stream('left', { key: text, value: text });
  const right = app.stream('right', { key: text, value: text });
  left.pipe(merge(right), to('out', { key: string(), value: string() }));
  return app;
}

/** A topic with one partition, led by `node`. */
function createOn({ client }: Lab, name: string, node: number): void {
  client.ask(createTopics, 5, {
    topics: [
      {
        name,
        numPartitions: -1,
        replicationFactor: -1,
        assignments: [{ partitionIndex: 0, brokerIds: [node] }],
        configs: [],
      },
    ],
    timeoutMs: 1_000,
  });
}

test('an input that turns out to be empty lets the records of the other one go on', async () => {
  lab = await Lab.open({ out: 1, left: 1 }, { nodes: 2 });
  createOn(lab, 'right', 1);
  lab.write('left', [['a', '1']]);
  const wire = lab.wire();
  // The answer for the empty input comes last, when nothing else is left to wake the loop.
  const hold = new Hold();
  const about = (topic: string) => (body: { topics: readonly { topic: string }[] }) =>
    body.topics.some((each) => each.topic === topic);
  const { between } = wire;
  wire.between = (passage, pass) => {
    if (passage.request.apiKey !== fetch.key) return between(passage, pass);
    const body = bodyOf(fetch, passage);
    return about('right')(body) ? hold.answers(passage, pass) : between(passage, pass);
  };
  await lab.start(merging(), wire);
  await until(
    () => hold.waiting > 0,
    () => 'the empty input is not asked for',
  );
  // The more of this is left when the records of the other input are there, the more it proves.
  await new Promise((resolve) => setTimeout(resolve, 200));
  hold.open();
  await lab.reached(1, 'left');
  expect(await lab.committed('out', asText)).toEqual(['a=1']);
});
