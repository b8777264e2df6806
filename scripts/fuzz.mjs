/**
 * `npm run fuzz`: the decoders over mutated bytes, more of them than `npm test` has time for, or one
 * failing input again.
 */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HELP = `npm run fuzz -- [options]

  --cases N       mutated messages and batches together (10000000)
  --seed S        the same seed makes the same cases (1)
  --target NAME   only targets whose name holds NAME, as failures print it
  --replay HEX    these bytes once, with --target
  --help
`;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const text = (otherwise) => ({ type: 'string', default: otherwise });
const { values } = parseArgs({
  options: {
    cases: text('10000000'),
    seed: text('1'),
    target: text(''),
    replay: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

function wholeNumber(name, least) {
  const value = Number(values[name]);
  if (values[name] !== '' && Number.isSafeInteger(value) && value >= least) return values[name];
  console.error(`fuzz: --${name} ${values[name]}: a whole number from ${least} is expected`);
  process.exit(1);
}

if (values.help) process.stdout.write(HELP);
else {
  const env = {
    ...process.env,
    ESCAPEMENT_FUZZ_CASES: wholeNumber('cases', 1),
    ESCAPEMENT_FUZZ_SEED: wholeNumber('seed', 0),
    ESCAPEMENT_FUZZ_TARGET: values.target,
    ...(values.replay === undefined ? {} : { ESCAPEMENT_FUZZ_REPLAY: values.replay }),
  };
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const args = [vitest, 'run', '--project', 'unit', 'test/fuzz'];
  const { status } = spawnSync(process.execPath, args, { cwd: root, env, stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
