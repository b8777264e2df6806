/**
 * Node 24, the other Node that is supported, from the npm package that carries its binary. Nothing of
 * it is installed: it lies in the cache as the other real parts do.
 */
import { join } from 'node:path';
import { cached, runCommand } from './cache.ts';

const VERSION = '24.21.0';

/** The path of its binary. */
export async function node24(): Promise<string> {
  const name = `node-linux-${process.arch}`;
  const folder = await cached(`node-${VERSION}-${process.arch}`, async (draft) => {
    const pack = ['pack', `${name}@${VERSION}`, '--silent'];
    const archive = (await runCommand('npm', pack, draft)).trim().split('\n').at(-1)!;
    await runCommand('tar', ['xzf', archive, 'package/bin/node'], draft);
    await runCommand('rm', [archive], draft);
  });
  return join(folder, 'package', 'bin', 'node');
}
