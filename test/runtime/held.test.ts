import { expect, test } from 'vitest';
import type { Ports } from '../../src/ports.ts';
import { type AssignmentParts, fenceAndRead } from '../../src/runtime/assignment.ts';
import { steadyPorts } from '../exactness/steady-time.ts';

const UNSTABLE_OFFSET_COMMIT = 88;

/** Time passes in pauses alone, and they are over at once. */
function skippingPorts(): Ports {
  let now = 0;
  return {
    ...steadyPorts,
    clock: { now: () => now, monotonic: () => now },
    timers: {
      ...steadyPorts.timers,
      sleep: async (ms) => {
        now += ms;
      },
    },
  };
}

/** A coordinator that answers every OffsetFetch with the error until it is `settled`. */
function held(settledAfter: number) {
  const asked: string[] = [];
  const parts = {
    plan: { id: 'usage_2', inputs: [{ topic: 'usage', partition: 2 }] },
    session: { init: async () => void asked.push('init') },
    group: { heartbeat: async () => void asked.push('heartbeat') },
    options: { applicationId: 'billing' },
    cluster: {
      lookups: { ports: skippingPorts(), timeoutMs: 100, attemptMs: [100, 100] },
      requestTimeoutMs: 100,
      coordinator: async () => 1,
      forgetCoordinator: () => {},
      send: async () => {
        asked.push('offsets');
        const isHeld = asked.length - 2 <= settledAfter;
        const row = {
          partitionIndex: 2,
          committedOffset: isHeld ? -1 : 7,
          metadata: '',
          errorCode: isHeld ? UNSTABLE_OFFSET_COMMIT : 0,
        };
        return { errorCode: 0, groups: [], topics: [{ name: 'usage', partitions: [row] }] };
      },
    },
  };
  return { asked, parts: parts as unknown as AssignmentParts };
}

test('offsets that a transaction holds are waited for', async () => {
  const { asked, parts } = held(1);
  expect((await fenceAndRead(parts)).offsets).toEqual([7]);
  expect(asked).toEqual(['heartbeat', 'init', 'offsets', 'offsets']);
});

test('offsets that a transaction holds for good stop the instance, which says what to look for', async () => {
  const { parts } = held(Number.POSITIVE_INFINITY);
  await expect(fenceAndRead(parts)).rejects.toMatchObject({
    code: 'OFFSETS_HELD',
    decision: 'stop',
    at: { task: 'usage_2', topic: 'usage', partition: 2 },
    message: expect.stringMatching(/group 'billing', usage-2.*__consumer_offsets.*operating\.md/s),
  });
});
