/** What stands in front of a request's and of an answer's body. Called by `kafkajs-link.ts`. */
import { EscapementError } from '../../errors.ts';
import { isFlexible } from '../protocol/codec.ts';
import type { TransportRequest } from './transport.ts';

const SIZE_BYTES = 4;
/** Size, api key, api version, correlation id and the length of the client id. */
const HEADER_FIXED_BYTES = 14;

/** The size of the request and its header: v1, or v2 for a flexible request (KIP-482). */
export function requestHeader(
  { apiKey, apiVersion, body }: TransportRequest,
  correlationId: number,
  clientId: string,
): Buffer {
  const client = Buffer.from(clientId);
  const isTagged = isFlexible(apiKey, apiVersion);
  const header = Buffer.alloc(HEADER_FIXED_BYTES + client.length + (isTagged ? 1 : 0));
  header.writeInt32BE(header.length - SIZE_BYTES + body.length, 0);
  header.writeInt16BE(apiKey, 4);
  header.writeInt16BE(apiVersion, 6);
  header.writeInt32BE(correlationId, 8);
  header.writeInt16BE(client.length, 12);
  client.copy(header, HEADER_FIXED_BYTES);
  return header;
}

/** Response header v1 begins with tagged fields; brokers send none today, a future one might. */
export function afterTags(payload: Buffer): Buffer {
  if (payload[0] === 0) return payload.subarray(1);
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = payload[at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new EscapementError('PROTOCOL_MALFORMED', 'A response header has broken tagged fields.');
  };
  for (let count = varint(); count > 0; count--) {
    varint();
    const size = varint();
    at += size;
  }
  return payload.subarray(at);
}
