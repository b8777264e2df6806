/** A process of its own: `node hunt-one.js <mutant> <seeds> [<first>]`; answers by messages. */
import { fileURLToPath } from 'node:url';
import { createViteServer } from 'vitest/node';
import { mutantPlugin } from './plugin.ts';

const [mutant, seeds, first = null] = process.argv.slice(2) as [string, string, string?];
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
const hunted = await hunt({
  first,
  seedsMost: Number(seeds),
  beforeRun: (run) => process.send?.({ run }),
});
process.send?.({ hunted });
await server.close();
process.disconnect?.();
