/** `npm start`: bills a stream of usage events while processes are killed, and proves the result. */

import { HelpShown, parseOptions, UsageError } from './options.ts';
import { ProgressLine } from './progress.ts';
import { jsonOf, tableOf } from './report.ts';
import { BillingRun } from './run.ts';

const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  const progress = new ProgressLine();
  const run = new BillingRun(options, progress);
  const interrupt = (): void => run.interrupt();
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  try {
    const result = await run.execute();
    if (result === 'interrupted') {
      await run.close();
      progress.step('interrupted; the processes were stopped');
      return EXIT_INTERRUPTED;
    }
    console.log(options.json ? jsonOf(result) : tableOf(result, options));
    if (options.keep) await run.untilInterrupted();
    return result.isExact ? 0 : 1;
  } finally {
    await run.close();
    process.removeListener('SIGINT', interrupt);
    process.removeListener('SIGTERM', interrupt);
  }
}

try {
  process.exitCode = await main();
  // Requests to a broker that has gone would keep the process.
  if (process.exitCode === EXIT_INTERRUPTED) process.exit();
} catch (error) {
  if (error instanceof HelpShown) {
    process.exitCode = 0;
  } else if (error instanceof UsageError) {
    console.error(error.message);
    process.exitCode = EXIT_USAGE;
  } else {
    console.error(error instanceof Error ? (error.stack ?? error.message) : error);
    process.exitCode = 1;
  }
}
