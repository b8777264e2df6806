/** What `npm run fuzz` tells the tests that do the work. */
export const FUZZ_SEED = Number(process.env.ESCAPEMENT_FUZZ_SEED ?? 1);
/** Of both kinds of targets together. */
export const FUZZ_CASES = Number(process.env.ESCAPEMENT_FUZZ_CASES ?? 1_000_000);
export const FUZZ_TARGET = process.env.ESCAPEMENT_FUZZ_TARGET ?? '';
export const FUZZ_REPLAY = process.env.ESCAPEMENT_FUZZ_REPLAY ?? null;

/** A thousand cases take less than a second on any machine that is not at a standstill. */
export const FUZZ_TIMEOUT_MS = 120_000 + FUZZ_CASES;
