/** Waits for work no longer than may be; the work itself goes on. */
import type { Timer, Timers } from '../ports.ts';

/** Resolves when the work does or the time is over; rejects when the work does so in time. */
export async function within(timers: Timers, boundMs: number, work: Promise<void>): Promise<void> {
  let timer: Timer | null = null;
  const bound = new Promise<void>((resolve) => {
    timer = timers.after(boundMs, resolve);
  });
  try {
    await Promise.race([work, bound]);
  } finally {
    (timer as Timer | null)?.cancel();
  }
}
