/** The legal successors of a group member's states; the diagram stands in `member.ts`. */
import { invariant } from '../../errors.ts';

export type MemberState = 'new' | 'joining' | 'syncing' | 'stable' | 'lost' | 'stopped' | 'failed';

export const MEMBER_SUCCESSORS: Readonly<Record<MemberState, readonly MemberState[]>> = {
  new: ['joining', 'stopped'],
  joining: ['syncing', 'stopped', 'failed'],
  syncing: ['stable', 'joining', 'lost', 'stopped', 'failed'],
  stable: ['joining', 'lost', 'stopped', 'failed'],
  lost: ['joining', 'stopped', 'failed'],
  stopped: [],
  failed: [],
};

export function successor(from: MemberState, to: MemberState): MemberState {
  invariant(MEMBER_SUCCESSORS[from].includes(to), 'a group member cannot change its state so', {
    from,
    to,
  });
  return to;
}
