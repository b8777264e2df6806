/** Rules of what users test with: a law, a comparison or a shadow that sees nothing is worse than none. */
import type { Mutant } from './mutant.ts';

const UNSEEN = 'It is not part of what runs in production.';

export const TESTING_MUTANTS: readonly Mutant[] = [
  {
    name: 'law-of-crashes-holds-for-all',
    unseen: UNSEEN,
    file: 'src/laws/judges.ts',
    find: 'return firstDifference(whole, play, disturbances(seed, RANDOM));',
    replace: 'return null;',
    tests: 'test/laws/check-laws.test.ts',
    kills: 'a count in a variable breaks crash equivalence alone, by one record',
  },
  {
    name: 'shadow-sees-no-memory',
    unseen: UNSEEN,
    file: 'src/testing/segment-shadow.ts',
    find: "if (together.end === 'open') return false;",
    replace: 'if (together.values.length > 0) return false;',
    tests: 'test/testing/shadow-run.test.ts',
    kills: 'stock operators on the stream itself are seen like those in values',
  },
  {
    name: 'crash-test-counts-records-only',
    unseen: UNSEEN,
    file: 'src/simulation/committed-rows.ts',
    find: 'if (sorted(wanted!) === sorted(found!)) return [];',
    replace: 'if (wanted!.length === found!.length) return [];',
    tests: 'test/simulation/crash-test.test.ts',
    kills: 'a topology that counts outside its stores is found',
  },
];
