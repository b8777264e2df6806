/** A broker that lacks an API, or offers it in older versions only, ends the application by name. */
import { describe, expect, it } from 'vitest';
import type { EscapementError } from '../../../src/errors.ts';
import { apiVersions } from '../../../src/kafka/protocol/api-versions.ts';
import { APIS } from '../../../src/kafka/protocol/apis.ts';
import { decodeResponse, encodeResponse } from '../../../src/kafka/protocol/codec.ts';
import { counting, Lab } from '../../exactness/lab.ts';
import type { Wire } from '../../exactness/wire.ts';

interface Offer {
  readonly apiKey: number;
  readonly minVersion: number;
  readonly maxVersion: number;
}

/** Changes what the brokers behind the wire say they offer. */
function offering(wire: Wire, change: (offer: Offer) => readonly Offer[]): void {
  wire.between = async ({ request: { apiKey, apiVersion } }, pass) => {
    const answer = await pass();
    if (apiKey !== apiVersions.key) return answer;
    const { apiKeys, ...rest } = decodeResponse(apiVersions, apiVersion, answer);
    return encodeResponse(apiVersions, apiVersion, { ...rest, apiKeys: apiKeys.flatMap(change) });
  };
}

/** Starts an application with one record to count: the error that ends it. */
async function ended(change: (offer: Offer) => readonly Offer[], transactionVersion: 1 | 2) {
  const lab = await Lab.open({ in: 1, out: 1 }, { transactionVersion });
  try {
    lab.write('in', [['a', '']]);
    const wire = lab.wire();
    offering(wire, change);
    const application = await lab.start(counting(), wire);
    await application.stopped();
  } catch (error) {
    return { error: error as EscapementError, counted: await lab.committed('out') };
  } finally {
    await lab.close();
  }
  return expect.fail('the application ended without an error');
}

const SHARED = [
  ...['Metadata', 'CreateTopics', 'DescribeConfigs', 'FindCoordinator', 'JoinGroup', 'SyncGroup'],
  ...['Heartbeat', 'InitProducerId', 'OffsetFetch', 'ListOffsets', 'Fetch', 'TxnOffsetCommit'],
  ...['Produce', 'EndTxn'],
];
const CASES = [
  ...SHARED.map((name) => [name, 1] as const),
  ...['AddPartitionsToTxn', 'AddOffsetsToTxn'].map((name) => [name, 1] as const),
  ...['TxnOffsetCommit', 'Produce', 'EndTxn'].map((name) => [name, 2] as const),
];

describe('a broker too old', () => {
  it.each(CASES)('by the lack of %s is named, on transactions v%i', async (name, version) => {
    const { error, counted } = await ended(
      (offer) => (APIS.get(offer.apiKey)?.name === name ? [] : [offer]),
      version,
    );
    expect(error).toMatchObject({ code: 'BROKER_TOO_OLD', decision: 'stop' });
    expect(error.message).toMatch(
      new RegExp(
        `^Node (any|0) does not offer ${name}, and escapement needs .*version (from )?\\d`,
      ),
    );
    expect(error.message).toContain('Use Kafka brokers from 3.3 to 4.3');
    expect(counted).toEqual([]);
  });

  // Below them a fence would be lost: generation and member, stable offsets, the instance id.
  it.each([
    ['TxnOffsetCommit', 2],
    ['OffsetFetch', 6],
    ['JoinGroup', 4],
  ])('by %s up to version %i is named with both ranges', async (name, maxVersion) => {
    const { error, counted } = await ended(
      (offer) => [APIS.get(offer.apiKey)?.name === name ? { ...offer, maxVersion } : offer],
      1,
    );
    expect(error.code).toBe('BROKER_TOO_OLD');
    expect(error.message).toMatch(
      new RegExp(`offers ${name} in versions \\d+ to ${maxVersion}, and escapement needs`),
    );
    expect(counted).toEqual([]);
  });
});
