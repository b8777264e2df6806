/** Registers the random sequences of one pair of targets, some of them in each test. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeTarget } from '../suite.ts';
import { openTarget, type TargetName } from '../target.ts';
import type { Protocol } from './commands.ts';
import { differences, type Pair } from './differential.ts';

/** On each of the two pairs. */
const COUNT_DEFAULT = 1_000;
const SEED_DEFAULT = 1;
const PER_TEST = 100;
const TEST_MS_MAX = 900_000;

function asked(name: string, otherwise: number): number {
  const text = process.env[name] ?? '';
  const value = text === '' ? otherwise : Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${name}: ${text} is no count`);
  return value;
}

export function sequences(
  embedded: 'embedded-tv1' | 'embedded-tv2',
  real: Exclude<TargetName, 'embedded-tv1' | 'embedded-tv2'>,
  versions: readonly Protocol[],
): void {
  const count = asked('ESCAPEMENT_CONFORMANCE_SEQUENCES', COUNT_DEFAULT);
  const first = asked('ESCAPEMENT_CONFORMANCE_SEED', SEED_DEFAULT);
  describeTarget(real, () => {
    let pair: Pair;
    beforeAll(async () => {
      pair = { embedded: await openTarget(embedded), real: await openTarget(real), versions };
    });
    afterAll(async () => {
      await pair?.embedded.close();
      await pair?.real.close();
    });
    for (let start = 0; start < count; start += PER_TEST) {
      const size = Math.min(PER_TEST, count - start);
      const seeds = Array.from({ length: size }, (_, index) => first + start + index);
      const title = `${embedded} answers random sequences ${seeds[0]} to ${seeds.at(-1)} as ${real} does`;
      test(title, { timeout: TEST_MS_MAX }, async ({ task }) => {
        task.meta.conformance = {
          target: embedded,
          against: real,
          kind: 'sequences',
          sequences: size,
        };
        expect((await differences(pair, seeds)).join('\n\n')).toBe('');
      });
    }
  });
}
