/**
 * What to do about an error of a step: the one function that turns errors into decisions.
 *
 * The base is the decision an error carries: from `ERRORS`, or for a broker's answer from the table
 * of Kafka's error codes. Here it is refined by what the runtime knows: whether the membership in
 * the group is alive. Sources: KIP-588, KIP-691, KIP-890; study of the broker's code.
 */
import { type Decision, EscapementError } from '../errors.ts';

export interface Situation {
  /** Whether the group counts us as a member: a lost membership takes every task with it. */
  readonly membership: 'live' | 'gone';
}

export function decide(error: unknown, situation: Situation): Decision {
  if (!(error instanceof EscapementError)) return 'stop';
  switch (error.decision) {
    case 'lost':
      // A coordinator that does not know us may itself have only just taken the group over. While the
      // membership stands, its answer to a step undoes the step alone: the fresh heartbeat that
      // follows finds out, and a member that is really gone has lost its generation by then.
      return situation.membership === 'live' && error.code === 'BROKER_ERROR' ? 'abort' : 'lost';
    case 'fenced':
      return situation.membership === 'live' ? 'fenced' : 'lost';
    case 'abort':
      // ILLEGAL_GENERATION and REBALANCE_IN_PROGRESS with a live membership are a race with a
      // rebalance: the offsets were refused, the transaction is undone, the records run again.
      return situation.membership === 'live' ? 'abort' : 'lost';
    case 'retry':
      // Retries in place are used up below; what is left of them has no known fate.
      return 'indefinite';
    default:
      return error.decision;
  }
}
