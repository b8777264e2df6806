/**
 * What an answer with error codes means: the one code that decides, and the error it becomes.
 *
 * The decision on each code stands in the table of `kafka/protocol`. Answers carry a code per
 * partition, and one refused partition decides over all.
 */
import {
  asEscapementError,
  type Coordinates,
  type Decision,
  EscapementError,
} from '../../errors.ts';
import { brokerError, KAFKA_ERRORS, KafkaErrorCode } from '../protocol/error-codes.ts';

export interface Refusal {
  readonly code: number;
  readonly at: Coordinates;
}

/** The gravest first: what happens next must suit all failures of a step. */
const GRAVITY: Readonly<Record<Decision, number>> = {
  fenced: 7,
  indefinite: 6,
  stop: 5,
  lost: 4,
  record: 3,
  abort: 2,
  retry: 1,
};

export function decisionOn(code: number): Decision {
  return KAFKA_ERRORS.get(code)?.decision ?? 'indefinite';
}

function gravityOf(code: number): number {
  // The partition itself was fine: another one of the same request decides.
  if (code === KafkaErrorCode.OPERATION_NOT_ATTEMPTED) return 0;
  return GRAVITY[decisionOn(code)];
}

/** The graver of two refusals. */
export function graver(one: Refusal | null, code: number, at: Coordinates): Refusal | null {
  if (code === KafkaErrorCode.NONE) return one;
  if (one !== null && gravityOf(one.code) >= gravityOf(code)) return one;
  return { code, at };
}

/** The gravest of several errors of one step; null for none. */
export function gravest(errors: readonly EscapementError[]): EscapementError | null {
  let found: EscapementError | null = null;
  for (const error of errors) {
    if (found === null || GRAVITY[error.decision] > GRAVITY[found.decision]) found = error;
  }
  return found;
}

/** An answer that does not mention everything that was asked says nothing about the rest. */
export function incomplete(answered: number, asked: number): Refusal | null {
  return answered >= asked ? null : { code: KafkaErrorCode.UNKNOWN_SERVER_ERROR, at: {} };
}

export function refusalError(what: string, refusal: Refusal): EscapementError {
  const place =
    refusal.at.topic === undefined ? '' : ` (${refusal.at.topic}-${refusal.at.partition})`;
  return brokerError(refusal.code, `${what}${place}`, refusal.at);
}

/** The error of a lookup: it changed nothing, so it may be repeated even if its fate is unknown. */
export function repeatable(cause: unknown): EscapementError {
  const error = asEscapementError(cause);
  if (error.decision !== 'indefinite') return error;
  return new EscapementError(error.code, error.message, { cause, at: error.at, decision: 'retry' });
}
