/**
 * Kafka's error codes, and the error that an answer with one becomes.
 */
import { type Coordinates, type Decision, type ErrorCode, EscapementError } from '../../errors.ts';
import { ERROR_TABLE } from './error-table.ts';
import { rightNeeded } from './rights.ts';

type KafkaErrorName = keyof typeof ERROR_TABLE;

/** `KafkaErrorCode.NOT_COORDINATOR` is 16. */
export const KafkaErrorCode = Object.fromEntries(
  Object.entries(ERROR_TABLE).map(([name, [code]]) => [name, code]),
) as { readonly [N in KafkaErrorName]: (typeof ERROR_TABLE)[N][0] };

export interface KafkaError {
  readonly name: string;
  readonly decision: Decision;
  readonly mend: string;
}

export const KAFKA_ERRORS: ReadonlyMap<number, KafkaError> = new Map(
  Object.entries(ERROR_TABLE).map(([name, [code, decision, mend]]) => [
    code,
    { name, decision, mend },
  ]),
);

/** Codes that users know under a name of ours; every other one is a `BROKER_ERROR`. */
const CODES: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  [KafkaErrorCode.OFFSET_OUT_OF_RANGE, 'OFFSET_OUT_OF_RANGE'],
  [KafkaErrorCode.MESSAGE_TOO_LARGE, 'RECORD_TOO_LARGE'],
  [KafkaErrorCode.RECORD_LIST_TOO_LARGE, 'RECORD_TOO_LARGE'],
  [KafkaErrorCode.OFFSET_METADATA_TOO_LARGE, 'METADATA_TOO_LARGE'],
  [KafkaErrorCode.INVALID_PRODUCER_EPOCH, 'TASK_FENCED'],
  [KafkaErrorCode.PRODUCER_FENCED, 'TASK_FENCED'],
  [KafkaErrorCode.FENCED_INSTANCE_ID, 'INSTANCE_FENCED'],
  [KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED, 'NOT_AUTHORIZED'],
  [KafkaErrorCode.GROUP_AUTHORIZATION_FAILED, 'NOT_AUTHORIZED'],
  [KafkaErrorCode.CLUSTER_AUTHORIZATION_FAILED, 'NOT_AUTHORIZED'],
  [KafkaErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 'NOT_AUTHORIZED'],
  [KafkaErrorCode.SASL_AUTHENTICATION_FAILED, 'AUTHENTICATION_FAILED'],
  [KafkaErrorCode.UNSUPPORTED_SASL_MECHANISM, 'AUTHENTICATION_FAILED'],
  [KafkaErrorCode.ILLEGAL_SASL_STATE, 'AUTHENTICATION_FAILED'],
]);

/** A broker's answer with an error code. Look at `kafkaCode`; `decision` is per code. */
export class BrokerError extends EscapementError {
  override readonly name = 'BrokerError';
  readonly kafkaCode: number;
  readonly kafkaName: string;

  constructor(kafkaCode: number, kafka: KafkaError, message: string, at: Coordinates) {
    super(CODES.get(kafkaCode) ?? 'BROKER_ERROR', message, { at, decision: kafka.decision });
    this.kafkaCode = kafkaCode;
    this.kafkaName = kafka.name;
  }
}

/** An answer of a code that Kafka did not have yet: nothing is known of its request's effect. */
const UNKNOWN: KafkaError = {
  name: 'UNKNOWN',
  decision: 'indefinite',
  mend: 'The broker is newer than escapement: look the code up in its documentation.',
};

/**
 * `what` names the request first and then what it was for: `TxnOffsetCommit of group 'billing'`. Of a
 * refusal for lack of a right, the message names which right on which resource.
 */
export function brokerError(code: number, what: string, at: Coordinates = {}): BrokerError {
  const kafka = KAFKA_ERRORS.get(code) ?? UNKNOWN;
  const right = rightNeeded(code, what, at);
  const needs = right === null ? '' : ` needs ${right}`;
  return new BrokerError(
    code,
    kafka,
    `${what}${needs}: ${kafka.name} (${code}). ${kafka.mend}`,
    at,
  );
}
