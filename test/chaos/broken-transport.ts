/**
 * A client that breaks a rule of exactly-once on purpose, so that a chaos run can be seen to notice:
 *
 * - `offsets-outside`: offsets are committed at once, beside the transaction instead of in it. A
 *   process that dies before its EndTxn has lost what it read.
 * - `dirty-reads`: records are read whether their transaction has been committed or not.
 */
import { decodeRequest, encodeRequest } from '../../src/kafka/protocol/codec.ts';
import { fetch } from '../../src/kafka/protocol/fetch.ts';
import { offsetCommit } from '../../src/kafka/protocol/offset-commit.ts';
import { txnOffsetCommit } from '../../src/kafka/protocol/txn-offset-commit.ts';
import type { Transport, TransportRequest } from '../../src/kafka/transport/transport.ts';

export const BREAKS = ['offsets-outside', 'dirty-reads'] as const;

const OFFSET_COMMIT_VERSION = 7;

export function breaks(what: string, inner: Transport): Transport {
  return {
    async request(node, request) {
      if (what === 'offsets-outside' && request.apiKey === txnOffsetCommit.key) {
        await inner.request(node, plainCommit(request));
      }
      const isFetch = what === 'dirty-reads' && request.apiKey === fetch.key;
      return await inner.request(node, isFetch ? uncommittedFetch(request) : request);
    },
    learn: (nodes) => inner.learn(nodes),
    close: () => inner.close(),
  };
}

function plainCommit(request: TransportRequest): TransportRequest {
  const { groupId, generationId, memberId, groupInstanceId, topics } = decodeRequest(
    txnOffsetCommit,
    request.apiVersion,
    request.body,
  );
  const body = encodeRequest(offsetCommit, OFFSET_COMMIT_VERSION, {
    ...{ groupId, memberId, groupInstanceId, topics },
    generationIdOrMemberEpoch: generationId,
  });
  return { ...request, apiKey: offsetCommit.key, apiVersion: OFFSET_COMMIT_VERSION, body };
}

function uncommittedFetch(request: TransportRequest): TransportRequest {
  const asked = decodeRequest(fetch, request.apiVersion, request.body);
  const body = encodeRequest(fetch, request.apiVersion, { ...asked, isolationLevel: 0 });
  return { ...request, body };
}
