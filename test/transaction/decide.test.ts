/** What is done about an error of a step, by its decision and the membership. */
import { expect, test } from 'vitest';
import { type Decision, EscapementError } from '../../src/errors.ts';
import { brokerError, KafkaErrorCode } from '../../src/kafka/protocol/error-codes.ts';
import { TransportError } from '../../src/kafka/transport/transport.ts';
import { decide } from '../../src/transaction/decide.ts';

const of = (code: number) => brokerError(code, 'a request');

test.each<[string, unknown, Decision, Decision]>([
  ['a lost answer', new TransportError('unknown', 'gone'), 'indefinite', 'indefinite'],
  [
    'a request that was never sent, all attempts used up',
    new TransportError('never-sent', 'gone'),
    'indefinite',
    'indefinite',
  ],
  ['an unknown server error', of(KafkaErrorCode.UNKNOWN_SERVER_ERROR), 'indefinite', 'indefinite'],
  [
    'a moved coordinator, all attempts used up',
    of(KafkaErrorCode.NOT_COORDINATOR),
    'indefinite',
    'indefinite',
  ],
  ['a refused generation', of(KafkaErrorCode.ILLEGAL_GENERATION), 'abort', 'lost'],
  ['a rebalance', of(KafkaErrorCode.REBALANCE_IN_PROGRESS), 'abort', 'lost'],
  ['an old epoch', of(KafkaErrorCode.INVALID_PRODUCER_EPOCH), 'fenced', 'lost'],
  ['a fenced producer', of(KafkaErrorCode.PRODUCER_FENCED), 'fenced', 'lost'],
  ['an unknown member', of(KafkaErrorCode.UNKNOWN_MEMBER_ID), 'abort', 'lost'],
  ['a fenced instance id', of(KafkaErrorCode.FENCED_INSTANCE_ID), 'stop', 'stop'],
  ['a missing right', of(KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED), 'stop', 'stop'],
  ['a batch that is too large', of(KafkaErrorCode.MESSAGE_TOO_LARGE), 'record', 'record'],
  [
    'a registry that is away',
    new EscapementError('REGISTRY_UNAVAILABLE', 'away'),
    'indefinite',
    'indefinite',
  ],
  ['a broken invariant', new EscapementError('INVARIANT_VIOLATED', 'broken'), 'stop', 'stop'],
  ['what is no error of ours', new TypeError('undefined is not a function'), 'stop', 'stop'],
  ['what is no error at all', 'thrown text', 'stop', 'stop'],
])('%s: %o is %s for a member and %s without membership', (_, error, live, gone) => {
  expect(decide(error, { membership: 'live' })).toBe(live);
  expect(decide(error, { membership: 'gone' })).toBe(gone);
});
