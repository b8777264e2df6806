/** A process of its own for one mutant: `node hunt-one.js <mutant> <seeds>`; answers by messages. */
import { fileURLToPath } from 'node:url';
import { createViteServer } from 'vitest/node';
import { mutantPlugin } from './plugin.ts';

const [mutant, seeds] = process.argv.slice(2) as [string, string];
const root = process.cwd();

const server = await createViteServer({
  root,
  configFile: false,
  appType: 'custom',
  logLevel: 'error',
  server: { middlewareMode: true, hmr: false, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true, include: [] },
  plugins: [mutantPlugin(mutant)],
  resolve: {
    alias: [
      {
        find: /^escapement$/,
        replacement: fileURLToPath(new URL('src/index.ts', `file://${root}/`)),
      },
      {
        find: /^escapement\/testing$/,
        replacement: fileURLToPath(new URL('src/testing.ts', `file://${root}/`)),
      },
    ],
  },
});
const { hunt } = (await server.ssrLoadModule(
  '/test/mutants/hunt.ts',
)) as typeof import('./hunt.ts');
const hunted = await hunt(Number(seeds), (seed) => process.send?.({ seed }));
process.send?.({ hunted });
await server.close();
process.disconnect?.();
