/** The third door, `escapement/testing/laws`: property tests, for those who have fast-check. */
export { type ArbitraryOptions, arbitraryOf } from './laws/arbitrary-of.ts';
export { checkLaws, type LawOptions, type LawReport, type ModelRecord } from './laws/check-laws.ts';
export type { Law } from './laws/law.ts';
export type { LawInputs, LawRecord } from './laws/law-case.ts';
export type { Expected } from './laws/model.ts';
