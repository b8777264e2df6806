import { fuzzTest } from './fuzz-test.ts';
import { messageTargets } from './message-targets.ts';
import { FUZZ_CASES } from './options.ts';

fuzzTest({
  title:
    'mutated requests, answers and group data are read or refused: no crash, no hang, bounded memory',
  name: 'messages',
  targets: messageTargets(),
  cases: Math.ceil(FUZZ_CASES * 0.6),
});
