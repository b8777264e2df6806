/** What became of a request, for people: what the report of a crash test says. */
import { KAFKA_ERRORS } from '../kafka/protocol/error-codes.ts';
import type { Strike } from './network.ts';

/** `EndTxn 2: lost-answer reset` is short; this is what it means. */
export function strikeWords(strike: Strike): string {
  switch (strike.kind) {
    case 'crash':
      return `the process dies ${MOMENTS[strike.when]}`;
    case 'lost-request':
      return `the request is lost, ${LOSSES[strike.loss]}`;
    case 'lost-answer':
      return `it is carried out and the answer is lost, ${LOSSES[strike.loss]}`;
    case 'late-request':
      return `the request comes ${strike.delayMs} ms late`;
    case 'late-answer':
      return `the answer comes ${strike.delayMs} ms late`;
    case 'duplicate':
      return 'the request comes twice';
    case 'replay':
      return `the request comes a second time, ${strike.delayMs} ms later`;
    case 'close':
      return 'it is carried out, and the connection closes before the answer';
    case 'refuse':
      return `the broker ${REFUSALS[strike.when]} ${errorName(strike.errorCode)}`;
  }
}

const MOMENTS = {
  before: 'before the request is sent',
  applied: 'when the broker has carried it out',
  answered: 'when the answer has come',
} as const;

const LOSSES = {
  reset: 'the connection breaks',
  silence: 'and nothing says so',
} as const;

const REFUSALS = {
  instead: 'does not carry it out and answers',
  after: 'carries it out, but answers',
} as const;

export function errorName(code: number): string {
  return KAFKA_ERRORS.get(code)?.name ?? String(code);
}
