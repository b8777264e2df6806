/**
 * Time that passes while the process runs, for brokers and instances that live in one process.
 *
 * A machine that is busy, or stands still, takes turns of the event loop away from both sides alike. In
 * the time of the machine a session would end meanwhile although nobody has missed a heartbeat that
 * could have been sent. Here a turn takes `TURN_MS_MOST` at most, however long it really was.
 */
import { type Ports, systemPorts, type Timer } from '../../src/ports.ts';

const TICK_MS = 5;
const TURN_MS_MOST = 4 * TICK_MS;

let passedMs = 0;
let lookedAt = performance.now();

/** Once in a turn, so that one turn counts once. */
function tick(): void {
  const now = performance.now();
  passedMs += Math.min(now - lookedAt, TURN_MS_MOST);
  lookedAt = now;
}

setInterval(tick, TICK_MS).unref();

function steadyMs(): number {
  return passedMs + Math.min(performance.now() - lookedAt, TURN_MS_MOST);
}

/** The machine's own timer says when to look; it is over when its time has passed here. */
function after(delayMs: number, callback: () => void): Timer {
  const dueMs = steadyMs() + delayMs;
  let handle: NodeJS.Timeout;
  const look = (): void => {
    const leftMs = dueMs - steadyMs();
    if (leftMs <= 0) callback();
    else handle = setTimeout(look, leftMs);
  };
  handle = setTimeout(look, delayMs);
  return { cancel: () => clearTimeout(handle) };
}

const EPOCH_MS = Date.now() - steadyMs();

export const steadyPorts: Ports = {
  clock: { now: () => Math.floor(EPOCH_MS + steadyMs()), monotonic: steadyMs },
  timers: {
    ...systemPorts.timers,
    after,
    sleep: (delayMs) => new Promise((resolve) => after(delayMs, resolve)),
  },
  random: systemPorts.random,
};
