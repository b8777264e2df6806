/** Which policy holds behind a repartition. */
import { expect, test } from 'vitest';
import { merge } from '../../src/dsl/merge.ts';
import { deadLetter, fail, retry, skip } from '../../src/dsl/policy.ts';
import { repartition } from '../../src/dsl/repartition.ts';
import { type TopologyBuilder, topology } from '../../src/dsl/topology.ts';
import { string } from '../../src/serde/string.ts';
import type { RecordPolicy } from '../../src/topology/node.ts';

const texts = { key: string(), value: string() };

/** By the repartition's name. */
function policies(app: TopologyBuilder): Record<string, RecordPolicy> {
  const found: Record<string, RecordPolicy> = {};
  for (const node of app.build().nodes) {
    if (node.kind === 'source' && node.repartition !== null) found[node.repartition] = node.onError;
  }
  return found;
}

/** What holds behind a repartition of the merge of streams with these policies. */
function behind(...above: readonly RecordPolicy[]): RecordPolicy {
  const app = topology('t');
  const streams = above.map((onError, i) => app.stream(`in-${i}`, { ...texts, onError }));
  const merged = streams.reduce((all, next) => all.pipe(merge(next)));
  merged.pipe(repartition({ name: 'r', ...texts }));
  return policies(app).r!;
}

test.each([fail(), skip(), deadLetter('dead'), retry(3, retry(1, deadLetter('dead')))])(
  'a repartition has the policy that all streams above it have (%o)',
  (policy) => {
    expect(behind(policy)).toEqual(policy);
    expect(behind(policy, structuredClone(policy))).toEqual(policy);
  },
);

test.each([
  [skip(), fail()],
  [skip(), deadLetter('dead')],
  [deadLetter('dead'), deadLetter('other')],
  [retry(1, skip()), retry(2, skip())],
  [retry(1, skip()), retry(1, fail())],
  [retry(1, skip()), skip()],
])('where streams differ, what is behind fails (%o, %o)', (one, other) => {
  expect(behind(one, other)).toEqual(fail());
  expect(behind(other, one)).toEqual(fail());
});

test('a policy of its own goes on behind the next repartition', () => {
  const app = topology('t');
  app
    .stream('in', { ...texts, onError: skip() })
    .pipe(
      repartition({ name: 'a', ...texts }),
      repartition({ name: 'b', ...texts, onError: deadLetter('dead') }),
      repartition({ name: 'c', ...texts }),
    );
  expect(policies(app)).toEqual({ a: skip(), b: deadLetter('dead'), c: deadLetter('dead') });
});

test('a stream beside it has no say', () => {
  const app = topology('t');
  app.stream('beside', { ...texts, onError: fail() });
  app.stream('in', { ...texts, onError: skip() }).pipe(repartition({ name: 'r', ...texts }));
  expect(policies(app)).toEqual({ r: skip() });
});

test.each([
  ['skip' as never, /^Topology 't' cannot run:\n {2}- stream\('in'\): onError.*$/],
  [retry(0, skip()), /^Topology 't' cannot run:\n {2}- stream\('in'\): retry: attempts.*$/],
  [deadLetter('no good'), /^Topology 't' cannot run:\n {2}- stream\('in'\): deadLetter: .*$/],
])('what is no policy is refused at its stream, once', (onError, said) => {
  const app = topology('t');
  app.stream('in', { ...texts, onError }).pipe(repartition({ name: 'r', ...texts }));
  expect(() => app.build()).toThrow(said);
});

test('what is no policy is refused at its repartition', () => {
  const own = topology('t');
  own.stream('in', texts).pipe(repartition({ name: 'r', ...texts, onError: 'skip' as never }));
  expect(() => own.build()).toThrow(/repartition\('r'\): onError must be/);
});
