/** A driver that is not closed does not pass for one whose test was replayed. */
import { execFile } from 'node:child_process';
import { beforeAll, expect, test, vi } from 'vitest';
import { string, to, topology } from '../../src/index.ts';
import { TestDriver } from '../../src/testing/test-driver.ts';
import { build } from '../topologies/billing/launched.ts';

const texts = { key: string(), value: string() };

function copied() {
  const app = topology('copied');
  app.stream('in', texts).pipe(to('out', texts));
  return app;
}

/** Exit code and stderr of a program that starts a driver and goes on as given. */
function program(then: string, options = ''): Promise<{ code: number; text: string }> {
  const dist = new URL('../../dist/src/', import.meta.url).href;
  const source = `
    import { string, to, topology } from '${dist}index.js';
    import { TestDriver } from '${dist}testing.js';
    const texts = { key: string(), value: string() };
    const made = () => {
      const app = topology('copied');
      app.stream('in', texts).pipe(to('out', texts));
      return app;
    };
    const driver = await TestDriver.start({ topology: made, ${options} });
    const input = driver.input('in', texts);
    ${then}`;
  return new Promise((resolve) => {
    const args = ['--input-type=module', '-e', source];
    execFile(process.execPath, args, (error, _stdout, text) => {
      resolve({ code: Number(error?.code ?? 0), text });
    });
  });
}

beforeAll(build);

test('a program that ends with a driver that was not closed says so and fails', async () => {
  const { code, text } = await program("input.pipe('k', 'v');");
  expect(code).toBe(1);
  expect(text).toMatch(
    /escapement: The TestDriver of topology 'copied', started at .*, was not closed/,
  );
});

test.each([
  ['was closed', "input.pipe('k', 'v'); await driver.close();", ''],
  ['was fed nothing', '', ''],
  ['replays nothing', "input.pipe('k', 'v');", "replay: 'off'"],
  ['failed', "try { input.pipe('k', 'v', { timestampMs: -2 }) } catch {}", ''],
])('a driver that %s says nothing', async (_what, then, options) => {
  expect(await program(then, options)).toEqual({ code: 0, text: '' });
});

test('a driver left open is named when the next one starts, once', async () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const left = await TestDriver.start({ topology: copied });
  left.input('in', texts).pipe('k', 'v');
  await (await TestDriver.start({ topology: copied })).close();
  await (await TestDriver.start({ topology: copied })).close();
  expect(warn).toHaveBeenCalledTimes(1);
  expect(warn.mock.calls[0]![0]).toMatch(
    /topology 'copied', started at .*unclosed\.test\.ts.*was not closed.*another one starts/,
  );
  warn.mockRestore();
  await left.close();
});

test('a driver is closed, and its test replayed, at the end of a block that uses it', async () => {
  let seen = 0;
  const built = vi.fn(copied);
  {
    await using driver = await TestDriver.start({ topology: built, replays: 0 });
    driver.input('in', texts).pipe('k', 'v');
    seen = built.mock.calls.length;
  }
  expect(built.mock.calls.length).toBeGreaterThan(seen + 5);
});
