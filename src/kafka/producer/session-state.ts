/**
 * The life of a transactional session, as data.
 *
 *            init()                 commit()
 *   new ────────────► initializing ──────► ready ─────────► committing ───► ready
 *                       │  ▲                 ▲                │ │ │
 *                       │  │                 │       definite │ │ │ time-out, lost connection
 *                       │  │ init()          │        refusal ▼ │ └──────────► unknown
 *                       │  ├── abortable ◄───┼──────── abortable│ fenced           ▲
 *                       │  ├── unknown       │            │     └──► fenced        │
 *                       │  └── fenced        └── aborting ◄ abort()                │
 *                       │                            └─────────────────────────────┘
 *                       └──► unknown, fenced, refused
 *
 * From `unknown` and `fenced` there is one way on, `init()`: it fences whatever is still on its way
 * to the broker. `abortable` may take it, too. `refused`: init() was answered no; it may be repeated.
 */
import { invariant } from '../../errors.ts';

export type SessionState =
  | 'new'
  | 'initializing'
  | 'ready'
  | 'committing'
  | 'abortable'
  | 'aborting'
  | 'unknown'
  | 'fenced'
  | 'refused';

export const SESSION_SUCCESSORS: Readonly<Record<SessionState, readonly SessionState[]>> = {
  new: ['initializing'],
  initializing: ['ready', 'unknown', 'fenced', 'refused'],
  ready: ['committing', 'initializing'],
  committing: ['ready', 'abortable', 'unknown', 'fenced'],
  abortable: ['aborting', 'initializing'],
  aborting: ['ready', 'abortable', 'unknown', 'fenced'],
  unknown: ['initializing'],
  fenced: ['initializing'],
  refused: ['initializing'],
};

export function successor(from: SessionState, to: SessionState): SessionState {
  invariant(
    SESSION_SUCCESSORS[from].includes(to),
    'a producer session cannot change its state so',
    {
      from,
      to,
    },
  );
  return to;
}
