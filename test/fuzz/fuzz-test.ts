/** The test of one kind of targets: a run of the fuzzer, or one input again. */
import { expect, it } from 'vitest';
import { fuzz, replay, type Target } from './fuzz.ts';
import { FUZZ_REPLAY, FUZZ_SEED, FUZZ_TARGET, FUZZ_TIMEOUT_MS } from './options.ts';

export function fuzzTest(given: {
  readonly title: string;
  readonly name: string;
  readonly targets: readonly Target[];
  readonly cases: number;
}): void {
  const { title, name, cases } = given;
  const targets = given.targets.filter((target) => target.name.includes(FUZZ_TARGET));
  if (targets.length === 0) {
    it.skip(`${name}: no target is called '${FUZZ_TARGET}'`);
    return;
  }
  if (FUZZ_REPLAY !== null) {
    const bytes = Buffer.from(FUZZ_REPLAY, 'hex');
    const same = targets.filter((target) => target.name === FUZZ_TARGET);
    for (const target of same.length > 0 ? same : targets) {
      it(`${target.name}: ${bytes.length} bytes again`, () => {
        console.log(`${target.name}: ${replay(target, bytes)}`);
      });
    }
    return;
  }
  it(
    title,
    async () => {
      const report = await fuzz({ targets, cases, seed: FUZZ_SEED });
      console.log(`${name}, seed ${FUZZ_SEED}: ${JSON.stringify(report)}`);
      expect(report.results + report.errors).toBe(cases);
      // A fuzzer whose mutants are all refused at the door, or all accepted, tests little.
      expect(report.results).toBeGreaterThan(cases / 50);
      expect(report.errors).toBeGreaterThan(cases / 50);
    },
    FUZZ_TIMEOUT_MS,
  );
}
