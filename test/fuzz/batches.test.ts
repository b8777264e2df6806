import { batchTargets } from './batch-targets.ts';
import { fuzzTest } from './fuzz-test.ts';
import { FUZZ_CASES } from './options.ts';

fuzzTest({
  title:
    'mutated record batches of all codecs are read or refused: no crash, no hang, bounded memory',
  name: 'batches',
  targets: batchTargets(),
  cases: Math.floor(FUZZ_CASES * 0.4),
});
