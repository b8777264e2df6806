/**
 * Drivers whose test has gone by without `close`: such a test was replayed under no crash, and looks
 * as if it had been.
 *
 * Nothing tells a library that a test is over, so two things stand for it: that the next driver
 * starts, which warns, and that the process ends, which warns and fails it. A runner that kills its
 * workers (vitest) has only the first; `await using` needs neither.
 */
export interface OpenDriver {
  readonly topology: string;
  /** Where the driver was started, as a stack says it. */
  readonly place: string;
  /** Something was piped in, so there is something to replay. */
  isUsed: boolean;
}

const open = new Set<OpenDriver>();
const warned = new WeakSet<OpenDriver>();
let isWatching = false;

/** Call at the start of a driver that `close` is to replay; `closed` takes it back. */
export function opened(topology: string, stack: string | undefined): OpenDriver {
  if (!isWatching) {
    isWatching = true;
    process.on('exit', atExit);
  }
  for (const driver of open) {
    if (!driver.isUsed || warned.has(driver)) continue;
    warned.add(driver);
    process.emitWarning(`${textOf(driver)} (another one starts already)`, WARNING);
  }
  const place = (stack ?? '').split('\n')[2]?.trim() ?? 'at a place unknown';
  const driver = { topology, place, isUsed: false };
  open.add(driver);
  return driver;
}

export function closed(driver: OpenDriver): void {
  open.delete(driver);
}

const WARNING = { type: 'EscapementWarning', code: 'TEST_NOT_REPLAYED' };

function atExit(): void {
  const left = [...open].filter(({ isUsed }) => isUsed);
  if (left.length === 0) return;
  for (const driver of left) process.stderr.write(`escapement: ${textOf(driver)}\n`);
  process.exitCode ||= 1;
}

function textOf({ topology, place }: OpenDriver): string {
  return (
    `The TestDriver of topology '${topology}', started ${place}, was not closed, so its test was not ` +
    "replayed: await driver.close(), or start it with 'await using', or with replay: 'off'."
  );
}
