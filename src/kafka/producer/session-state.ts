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
import { EscapementError, invariant } from '../../errors.ts';

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

/** Repetition ends in the session: above it there is nothing but reading back what happened. */
export function definitive(cause: EscapementError): EscapementError {
  if (cause.decision !== 'retry') return cause;
  const { code, message, at } = cause;
  return new EscapementError(code, message, { cause, at, decision: 'indefinite' });
}

/** An answer that could not be read says as little as one that never came. */
export function stateAfter(
  error: EscapementError,
  definite: 'abortable' | 'refused',
): SessionState {
  if (error.decision === 'fenced') return 'fenced';
  if (error.decision === 'indefinite') return 'unknown';
  const unread = error.code === 'PROTOCOL_MALFORMED' || error.code === 'INVARIANT_VIOLATED';
  return unread ? 'unknown' : definite;
}
