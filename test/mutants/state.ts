/** Mutants of staged state: what is undone, in which order, who may see it, and that it is whole. */
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
  {
    name: 'cut-off-value-taken-for-whole',
    unseen: 'The serdes of simulated topologies keep their contract.',
    file: 'src/serde/encode-buffer.ts',
    find: 'return end >= 0 && end < buffer.length - CUT_BYTES_MAX;',
    replace: 'return end >= 0;',
    tests: 'test/testing/test-driver.test.ts',
    kills: 'large values of a serde that would cut them off are whole in every topic and store',
  },
];
