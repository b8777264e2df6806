import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { mutantPlugin } from './test/mutants/plugin.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// The public doors lead to the sources, so tests and topologies run without a build.
const alias = [
  { find: /^escapement$/, replacement: here('./src/index.ts') },
  { find: /^escapement\/testing$/, replacement: here('./src/testing.ts') },
  { find: /^escapement\/testing\/laws$/, replacement: here('./src/testing-laws.ts') },
];

const realParts = ['test/integration/**/*.test.ts', 'test/conformance/**/*.test.ts'];
const compiled = ['test/types/**/*.test.ts'];
const mutants = ['test/mutants/**/*.test.ts'];
const proof = ['test/proof/**/*.test.ts'];

// Set by the tests of the mutants for the processes they start.
const mutant = process.env.ESCAPEMENT_MUTANT;

export default defineConfig({
  resolve: { alias },
  test: {
    projects: [
      {
        resolve: { alias },
        plugins: mutant === undefined ? [] : [mutantPlugin(mutant)],
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...realParts, ...compiled, ...mutants, ...proof],
          setupFiles: ['test/seed.ts'],
          pool: 'forks',
          maxWorkers: 2,
          // Many times what the longest needs: a machine that is busy or slow fails no test. Where a
          // rule is broken, a test that waits in vain is what is waited for.
          testTimeout: mutant === undefined ? 120_000 : 20_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'types',
          include: compiled,
          pool: 'forks',
          maxWorkers: 1,
          testTimeout: 900_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'mutants',
          include: mutants,
          pool: 'forks',
          maxWorkers: 1,
          // Each starts a process of its own, one of them with some hundred tests.
          maxConcurrency: 2,
          testTimeout: 900_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'proof',
          include: proof,
          pool: 'forks',
          // Each uses all cores by itself.
          fileParallelism: false,
          maxWorkers: 1,
          testTimeout: 7_200_000,
          globalSetup: ['test/proof/compile.ts'],
          sequence: { groupOrder: 3 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'integration',
          include: realParts,
          pool: 'forks',
          // One file after the other: they share one broker and two cores.
          fileParallelism: false,
          maxWorkers: 1,
          // Ten times what they take on two free cores.
          testTimeout: 600_000,
          hookTimeout: 600_000,
          globalSetup: ['test/integration/real/global-setup.ts'],
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
});
