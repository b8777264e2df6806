/** The gate of asynchronous work against a slow model: who may run is decided anew at each event. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AsyncGate, type GateJob } from '../../src/runtime/async-gate.ts';

interface Job {
  readonly id: number;
  readonly lane: string | null;
  cancelled: boolean;
}

test('at most as many jobs run as may, one per lane, each as early as the order allows', () => {
  const job = fc.record({
    lane: fc.constantFrom<(string | null)[]>('a', 'b', null),
    end: fc.constantFrom<('later' | 'at once')[]>('later', 'later', 'at once'),
  });
  const action = fc.oneof(
    fc.record({ kind: fc.constant('submit' as const), job }),
    fc.record({ kind: fc.constant('end' as const), pick: fc.nat() }),
    fc.record({ kind: fc.constant('cancel' as const), pick: fc.nat() }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }), fc.array(action), (concurrency, actions) => {
      const gate = new AsyncGate(concurrency);
      const begun: number[] = [];
      const running = new Map<number, () => void>();
      const waiting: (Job & { end: 'later' | 'at once' })[] = [];
      const lanes = new Map<number, string | null>();
      const expected: number[] = [];
      const settle = (): void => {
        for (let i = 0; i < waiting.length && lanes.size < concurrency; ) {
          const next = waiting[i]!;
          if (next.cancelled) waiting.splice(i, 1);
          else if (next.lane !== null && [...lanes.values()].includes(next.lane)) i += 1;
          else {
            waiting.splice(i, 1);
            expected.push(next.id);
            // One that ends at once was never seen to run.
            if (next.end === 'later') lanes.set(next.id, next.lane);
            else i = 0;
          }
        }
      };
      actions.forEach((each, id) => {
        if (each.kind === 'submit') {
          const one = { id, lane: each.job.lane, cancelled: false, end: each.job.end };
          const given: GateJob = {
            lane: one.lane,
            get cancelled() {
              return one.cancelled;
            },
            begin(done) {
              begun.push(id);
              if (one.end === 'at once') done();
              else running.set(id, done);
            },
          };
          waiting.push(one);
          gate.submit(given);
        } else if (each.kind === 'end' && running.size > 0) {
          const [ended, done] = [...running][each.pick % running.size]!;
          running.delete(ended);
          lanes.delete(ended);
          done();
          done();
        } else if (each.kind === 'cancel' && waiting.length > 0) {
          waiting[each.pick % waiting.length]!.cancelled = true;
        }
        settle();
        expect(begun).toEqual(expected);
        expect(running.size).toBeLessThanOrEqual(concurrency);
      });
    }),
    { numRuns: 300 },
  );
});
