/** How long a driver waits for asynchronous work, in real time. */
import { EscapementError } from '../errors.ts';
import { systemPorts } from '../ports.ts';

/** Real time after which work that is under way counts as stuck. */
const IDLE_LIMIT_MS = 5_000;

/** Throws `TEST_DRIVER_BUSY` when so much real time has passed since then that nothing will come. */
export function patience(since: number): void {
  if (systemPorts.clock.monotonic() - since > IDLE_LIMIT_MS) throw stuck();
}

export function stuck(): EscapementError {
  return new EscapementError(
    'TEST_DRIVER_BUSY',
    'Asynchronous work of the topology is under way: await driver.idle() before reading. If that is ' +
      'what failed, the work waits for something that does not come; `advance` lets time limits expire.',
  );
}
