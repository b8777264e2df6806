/**
 * Asynchronous calls whose failures are dead letters: some fail for good, some never end. Which records
 * are set aside is open; that each is either set aside or counted, once, is not.
 */
import { count, deadLetter, long, mapAsync, string, to, topology } from '../../../src/index.ts';
import type { Outcome } from '../../../src/simulation/oracle/evidence.ts';
import type { UserCode, Workload } from '../../../src/simulation/workload.ts';
import { differences } from './differences.ts';
import { idInputs, sourceOfId } from './ids.ts';

const text = string();
const PARTITIONS = 2;
const KEYS = 3;
const CALL_TIMEOUT_MS = 500;

/** Every fourth id of a partition fails whenever it is called. */
const isBad = (id: string): boolean => sourceOfId(id).offset % 4 === 3;

export const asyncDeadLetters: Workload = {
  name: 'async-dead-letters',
  topics: { in: PARTITIONS, counts: PARTITIONS, dead: 1 },

  topology({ call }: UserCode) {
    const app = topology('async-dead-letters');
    const input = app.stream('in', { key: text, value: text, onError: deadLetter('dead') });
    // Before the call, so that later records count on top of one that fails.
    input.pipe(
      count({ name: 'count', key: text }),
      mapAsync(
        async (n, { meta }) => {
          await call();
          if (isBad(`${meta.partition}:${meta.offset}`)) throw new Error('a bad record');
          return n;
        },
        { concurrency: 4, order: 'partition', timeoutMs: CALL_TIMEOUT_MS },
      ),
      to('counts', { key: text, value: long() }),
    );
    return app.build();
  },

  inputs: (random, records) => idInputs({ random, records, partitions: PARTITIONS, keys: KEYS }),

  source: ({ topic, value }) => (topic === 'dead' ? sourceOfId(String(value)) : null),

  check({ applicationId, written, topic }: Outcome): string[] {
    const dead = topic('dead').flatMap((view) => view.committed.map(({ value }) => String(value)));
    const isDead = new Set(dead);
    const bad = written.filter(({ value }) => isBad(String(value)));
    const expected = Array.from({ length: PARTITIONS }, (_, partition) => {
      const counts = new Map<string, number>();
      return written
        .filter((input) => input.partition === partition && !isDead.has(String(input.value)))
        .map(({ key }) => {
          counts.set(String(key), (counts.get(String(key)) ?? 0) + 1);
          return `${key}=${counts.get(String(key))}`;
        });
    });
    const committed = (name: string): string[][] =>
      topic(name).map((view) =>
        view.committed.map(({ key, value }) => `${key}=${value!.readBigInt64BE()}`),
      );
    const changelog = committed(`${applicationId}-count-changelog`);
    return [
      ...(isDead.size < dead.length ? ['a dead letter was written twice'] : []),
      ...bad.flatMap(({ value }) => (isDead.has(String(value)) ? [] : [`${value} is not dead`])),
      ...expected.flatMap((lines, at) =>
        differences(`changelog ${at}`, changelog[at] ?? [], lines),
      ),
      ...differences('counts', committed('counts').flat().sort(), expected.flat().sort()),
    ];
  },
};
