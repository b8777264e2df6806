import { describe, expect, it } from 'vitest';
import {
  BrokerError,
  brokerError,
  KAFKA_ERRORS,
  KafkaErrorCode,
} from '../../../src/kafka/protocol/error-codes.ts';

describe('Kafka error codes', () => {
  it('are complete from -1 to 133, each with a mend', () => {
    for (let code = -1; code <= 133; code++) {
      const error = KAFKA_ERRORS.get(code);
      expect(error?.name).toMatch(/^[A-Z_]+$/);
      expect(error?.mend).not.toBe('');
      expect(KafkaErrorCode[error!.name as keyof typeof KafkaErrorCode]).toBe(code);
    }
  });

  it.each([
    ['retry', [3, 6, 14, 15, 16, 19, 20, 51, 88]],
    ['indefinite', [-1, 7]],
    ['abort', [22, 27, 120]],
    ['fenced', [45, 47, 48, 49, 59, 90]],
    ['record', [10, 87]],
    ['lost', [25]],
    ['stop', [29, 30, 31, 35, 50, 53, 58, 82]],
  ] as const)('are decided as %s', (decision, codes) => {
    for (const code of codes) {
      expect([code, brokerError(code, 'EndTxn').decision]).toEqual([code, decision]);
    }
  });

  it('become errors that name the request, the code and where', () => {
    const error = brokerError(16, 'EndTxn of billing-usage-0', { topic: 'usage', partition: 0 });
    expect(error).toBeInstanceOf(BrokerError);
    expect(error.message).toContain('EndTxn of billing-usage-0: NOT_COORDINATOR (16).');
    expect(error).toMatchObject({
      code: 'BROKER_ERROR',
      kafkaCode: 16,
      kafkaName: 'NOT_COORDINATOR',
      at: { topic: 'usage', partition: 0 },
    });
  });

  it('carry the code that users know where there is one', () => {
    expect(brokerError(82, 'JoinGroup').code).toBe('INSTANCE_FENCED');
    expect(brokerError(53, 'InitProducerId').code).toBe('NOT_AUTHORIZED');
    expect(brokerError(47, 'EndTxn').code).toBe('TASK_FENCED');
  });

  it('of a newer broker leave the fate of the request open', () => {
    expect(brokerError(999, 'EndTxn').decision).toBe('indefinite');
  });
});
