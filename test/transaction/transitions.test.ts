/** The states of a step: every way that the diagram shows is open, and no other one. */
import { expect, test } from 'vitest';
import { type StepState, transition } from '../../src/transaction/transitions.ts';

const STATES: readonly StepState[] = ['open', 'sealed', 'resolving', 'undoing', 'released'];

const DRAWN = new Set([
  'open -> sealed',
  'sealed -> open',
  'open -> resolving',
  'sealed -> resolving',
  'resolving -> open',
  'resolving -> undoing',
  'undoing -> open',
  'open -> released',
  'sealed -> released',
  'resolving -> released',
  'undoing -> released',
]);

test.each(STATES.flatMap((from) => STATES.map((to) => [from, to] as const)))(
  '%s -> %s is open exactly if it is drawn',
  (from, to) => {
    if (DRAWN.has(`${from} -> ${to}`)) expect(transition(from, to)).toBe(to);
    else {
      expect(() => transition(from, to)).toThrowError(
        expect.objectContaining({ code: 'INVARIANT_VIOLATED' }),
      );
    }
  },
);
