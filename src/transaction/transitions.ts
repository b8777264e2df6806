/**
 * The life of a task's step, as data.
 *
 *              commit sent            definite yes
 *   open ────────────────► sealed ───────────────────► open (the next step)
 *                            │ definite no, fenced
 *                            ├──────────────► undoing ──► open (records run again)
 *                            │ indefinite        ▲
 *                            └──► resolving ─────┤ the previous step's id was found
 *                                   │            └─► open: the sealed step's id was found
 *                                   └─► released: another owner ran, or the task is lost
 *
 * `open` here means that records may be processed; a sealed step does not keep the next one from
 * filling (two generations of staged state).
 */
import { invariant } from '../errors.ts';

export type StepState = 'open' | 'sealed' | 'resolving' | 'undoing' | 'released';

const SUCCESSORS: Readonly<Record<StepState, readonly StepState[]>> = {
  open: ['sealed', 'resolving', 'released'],
  sealed: ['open', 'resolving', 'released'],
  resolving: ['open', 'undoing', 'released'],
  undoing: ['open', 'released'],
  released: [],
};

export function transition(from: StepState, to: StepState): StepState {
  invariant(SUCCESSORS[from].includes(to), 'a step cannot change its state so', { from, to });
  return to;
}
