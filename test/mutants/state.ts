/** Mutants of staged state: what is undone, in which order, and who may see it. */
import type { Mutant } from './mutant.ts';

const STORES = 'test/state/stores.test.ts';
const TWIN = 'a key-value store shows what a plain map shows, whatever is undone or committed';
const STAGING = 'src/state/staging.ts';

export const STATE_MUTANTS: readonly Mutant[] = [
  {
    name: 'sealed-writes-visible-early',
    file: STAGING,
    find: '    return [this.#sealed, this.#open];',
    replace: '    return [this.#open];',
    tests: STORES,
    kills: TWIN,
  },
  {
    name: 'undo-generations-in-the-wrong-order',
    file: STAGING,
    find: '    this.#undoAll(this.#open);\n    this.#undoAll(this.#sealed);',
    replace: '    this.#undoAll(this.#sealed);\n    this.#undoAll(this.#open);',
    tests: STORES,
    kills: TWIN,
  },
  {
    name: 'undo-per-transaction-instead-of-per-slot',
    file: STAGING,
    find: '    const oldLength = table.valueEnd - table.valueStart;\n',
    replace: `    if (first === 0 && valueEnd - valueStart <= table.valueBytesMax) {
      table.overwrite(value, valueStart, valueEnd, timestamp, generation);
      return;
    }
    const oldLength = table.valueEnd - table.valueStart;
`,
    tests: STORES,
    kills: TWIN,
  },
];
