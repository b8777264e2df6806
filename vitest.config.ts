import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// Both public doors lead to the sources, so tests and topologies run without a build.
const alias = [
  { find: /^escapement$/, replacement: here('./src/index.ts') },
  { find: /^escapement\/testing$/, replacement: here('./src/testing.ts') },
];

const realParts = ['test/integration/**/*.test.ts', 'test/conformance/**/*.test.ts'];
const compiled = ['test/types/**/*.test.ts'];

export default defineConfig({
  resolve: { alias },
  test: {
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...realParts, ...compiled],
          pool: 'forks',
          maxWorkers: 2,
          testTimeout: 20_000,
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
          testTimeout: 300_000,
          sequence: { groupOrder: 1 },
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
          testTimeout: 180_000,
          hookTimeout: 240_000,
          globalSetup: ['test/integration/real/global-setup.ts'],
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
