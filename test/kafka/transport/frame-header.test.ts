import { expect, test } from 'vitest';
import { fetch } from '../../../src/kafka/protocol/fetch.ts';
import { initProducerId } from '../../../src/kafka/protocol/init-producer-id.ts';
import { afterTags, requestHeader } from '../../../src/kafka/transport/frame-header.ts';

const header = (apiKey: number, apiVersion: number, body: Buffer, clientId: string) =>
  requestHeader(
    { apiKey, apiVersion, body, timeoutMs: 1, lane: 'transaction' },
    0x0102_0304,
    clientId,
  );

test('a header is v1, or v2 with no tagged fields where the request is flexible', () => {
  const body = Buffer.alloc(5);
  // size, key, version, correlation id, length of the client id, client id
  expect(header(fetch.key, 11, body, 'zoë').toString('hex')).toBe(
    ['00000013', '0001', '000b', '01020304', '0004', '7a6fc3ab'].join(''),
  );
  expect(header(initProducerId.key, 4, body, '').toString('hex')).toBe(
    ['00000010', '0016', '0004', '01020304', '0000', '00'].join(''),
  );
});

test('tagged fields of an answer are passed over, and broken ones are refused', () => {
  expect(afterTags(Buffer.from([0, 7]))).toEqual(Buffer.from([7]));
  expect(afterTags(Buffer.from([2, 5, 1, 9, 0x80, 1, 2, 9, 9, 7]))).toEqual(Buffer.from([7]));
  expect(() => afterTags(Buffer.from([1, 0x80]))).toThrow(/broken tagged fields/);
});
