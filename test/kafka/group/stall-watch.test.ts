import { expect, test } from 'vitest';
import { StallWatch } from '../../../src/kafka/group/stall-watch.ts';
import { VirtualPorts } from '../../broker/ports.ts';

function watching() {
  const ports = new VirtualPorts();
  const stalls: number[] = [];
  const stalled = (durationMs: number) => stalls.push(durationMs);
  const watch = new StallWatch({ ports, tickMs: 1_000, stallMs: 3_000, stalled });
  watch.begin();
  return { ports, watch, stalls };
}

test('a process that runs has no stalls', () => {
  const { ports, watch, stalls } = watching();
  for (let i = 0; i < 50; i++) ports.advance(700);
  expect(stalls).toEqual([]);
  expect(ports.clock.monotonic() - watch.awakeAt).toBeLessThanOrEqual(1_000);
});

test('a tick that comes late by a heartbeat interval is a stall, told with its length', () => {
  const { ports, stalls } = watching();
  ports.advance(1_000);
  ports.stall(3_999);
  expect(stalls).toEqual([]);
  ports.stall(8_000);
  expect(stalls).toEqual([7_000]);
  ports.advance(10_000);
  expect(stalls).toHaveLength(1);
});

test('while the process stands still its last sign of life does not move', () => {
  const ports = new VirtualPorts();
  const seen: number[] = [];
  const watch: StallWatch = new StallWatch({
    ports,
    tickMs: 1_000,
    stallMs: 500,
    stalled: () => {},
  });
  watch.begin();
  ports.advance(2_000);
  // Due before the tick: it runs first after the stall, as answers do.
  ports.timers.after(500, () => seen.push(watch.awakeAt));
  ports.stall(20_000);
  expect(seen).toEqual([2_000]);
});

test('an ended watch leaves no timer behind', () => {
  const { ports, watch } = watching();
  watch.end();
  expect(ports.pendingTimers).toBe(0);
});
