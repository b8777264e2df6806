import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EscapementError } from '../../../src/errors.ts';
import { APIS } from '../../../src/kafka/protocol/apis.ts';
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  isFlexible,
} from '../../../src/kafka/protocol/codec.ts';
import { deleteTopics } from '../../../src/kafka/protocol/delete-topics.ts';
import { fetch } from '../../../src/kafka/protocol/fetch.ts';
import { findCoordinator } from '../../../src/kafka/protocol/find-coordinator.ts';
import { heartbeat } from '../../../src/kafka/protocol/heartbeat.ts';
import { metadata } from '../../../src/kafka/protocol/metadata.ts';
import { produce } from '../../../src/kafka/protocol/produce.ts';
import type { Api } from '../../../src/kafka/protocol/schema.ts';
import { txnOffsetCommit } from '../../../src/kafka/protocol/txn-offset-commit.ts';
import { completed, message } from './random-messages.ts';

function versionsOf(api: Api): number[] {
  const [min, max] = api.versions;
  return Array.from({ length: max - min + 1 }, (_, index) => min + index);
}

describe('every API in every version', () => {
  for (const api of APIS.values()) {
    for (const version of versionsOf(api)) {
      it(`${api.name} v${version} keeps what its version carries`, () => {
        fc.assert(
          fc.property(message(api.request, version), (body) => {
            const decoded = decodeRequest(api, version, encodeRequest(api, version, body));
            assert.deepEqual(decoded, completed(api.request, version, body));
          }),
          { numRuns: 12 },
        );
        fc.assert(
          fc.property(message(api.response, version), (body) => {
            const decoded = decodeResponse(api, version, encodeResponse(api, version, body));
            assert.deepEqual(decoded, completed(api.response, version, body));
          }),
          { numRuns: 12 },
        );
      });
    }
  }
});

function malformed(run: () => unknown): EscapementError | null {
  try {
    run();
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(EscapementError);
    expect((error as EscapementError).code).toBe('PROTOCOL_MALFORMED');
    return error as EscapementError;
  }
}

describe('malformed bytes', () => {
  it('are a typed error or another message, whatever byte is changed or cut off', () => {
    for (const api of APIS.values()) {
      for (const version of [api.versions[0], api.versions[1]]) {
        fc.assert(
          fc.property(
            message(api.response, version),
            fc.infiniteStream(fc.nat()),
            (body, numbers) => {
              const bytes = encodeResponse(api, version, body);
              for (let round = 0; round < 8 && bytes.length > 0; round++) {
                const mutated = Buffer.from(bytes);
                mutated[numbers.next().value! % bytes.length] = numbers.next().value! & 0xff;
                const cut = mutated.subarray(0, numbers.next().value! % (bytes.length + 1));
                malformed(() => decodeResponse(api, version, mutated));
                malformed(() => decodeResponse(api, version, cut));
              }
            },
          ),
          { numRuns: 8 },
        );
      }
    }
  });

  it('are a typed error when they are noise', () => {
    for (const api of APIS.values()) {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 64 }), (noise) => {
          malformed(() => decodeRequest(api, api.versions[1], Buffer.from(noise)));
          malformed(() => decodeResponse(api, api.versions[0], Buffer.from(noise)));
        }),
        { numRuns: 30 },
      );
    }
  });

  it('are refused before memory is taken for a count that they cannot hold', () => {
    // throttleTimeMs, then two thousand million topics.
    const lying = Buffer.from(`000000007fffffff${'00'.repeat(40)}`, 'hex');
    const error = malformed(() => decodeResponse(fetch, 4, lying));
    expect(error?.message).toContain('2147483647 elements of responses');
  });

  it('are refused when a length is negative, a null is not allowed or bytes are left over', () => {
    expect(malformed(() => decodeRequest(heartbeat, 0, Buffer.from('fffe', 'hex')))).not.toBeNull();
    expect(malformed(() => decodeRequest(heartbeat, 0, Buffer.from('ffff', 'hex')))).not.toBeNull();
    const whole = encodeResponse(heartbeat, 0, { errorCode: 0 });
    const surplus = malformed(() =>
      decodeResponse(heartbeat, 0, Buffer.concat([whole, Buffer.alloc(1)])),
    );
    expect(surplus?.message).toContain('Heartbeat v0 response: 1 surplus bytes');
  });

  it('are refused when an int64 is beyond what a number holds', () => {
    const bytes = encodeRequest(txnOffsetCommit, 0, {
      transactionalId: '',
      groupId: '',
      producerId: 1,
      producerEpoch: 0,
      topics: [],
    });
    bytes.writeBigInt64BE(2n ** 53n, 4);
    expect(malformed(() => decodeRequest(txnOffsetCommit, 0, bytes))).not.toBeNull();
  });

  it('are refused when tags do not ascend or a tagged field has another size', () => {
    const tail = (tags: string) => Buffer.from(`00000000${'0000'}${tags}`, 'hex');
    expect(malformed(() => decodeResponse(heartbeat, 4, tail('00')))).toBeNull();
    expect(malformed(() => decodeResponse(heartbeat, 4, tail('010501ff')))).toBeNull();
    expect(malformed(() => decodeResponse(heartbeat, 4, tail('0205000400')))).not.toBeNull();
    expect(malformed(() => decodeResponse(heartbeat, 4, tail('0105ff7f')))).not.toBeNull();
    const empty = encodeRequest(fetch, 12, { maxWaitMs: 0, minBytes: 0, topics: [] });
    const wrong = Buffer.concat([empty.subarray(0, -1), Buffer.from('010003026101', 'hex')]);
    expect(malformed(() => decodeRequest(fetch, 12, wrong))).not.toBeNull();
    // One byte is announced and the string takes two, which are the last.
    const short = Buffer.concat([empty.subarray(0, -1), Buffer.from('0100010261', 'hex')]);
    expect(malformed(() => decodeRequest(fetch, 12, short))?.message).toContain('tag 0 not of 1');
  });
});

describe('encoding', () => {
  it('uses the default of a field that is left out', () => {
    const bytes = encodeRequest(fetch, 11, { maxWaitMs: 5, minBytes: 1, topics: [] });
    const decoded = decodeRequest(fetch, 11, bytes);
    expect(decoded).toMatchObject({ replicaId: -1, maxBytes: 0x7fff_ffff, sessionEpoch: -1 });
  });

  it('refuses to drop a fence that the version cannot carry', () => {
    const body = {
      transactionalId: 't',
      groupId: 'g',
      producerId: 1,
      producerEpoch: 0,
      generationId: 7,
      topics: [],
    };
    expect(() => encodeRequest(txnOffsetCommit, 2, body)).toThrow(/generationId/);
    expect(encodeRequest(txnOffsetCommit, 3, body).length).toBeGreaterThan(0);
    expect(encodeRequest(txnOffsetCommit, 2, { ...body, generationId: -1 }).length).toBe(
      encodeRequest(txnOffsetCommit, 2, { ...body, generationId: undefined }).length,
    );
  });

  it('drops what its layout says may be dropped', () => {
    const body = { throttleTimeMs: 3, errorCode: 0 };
    expect(encodeResponse(heartbeat, 0, body)).toEqual(Buffer.from('0000', 'hex'));
  });

  it('names the field whose value does not fit', () => {
    const request = { groupId: 'g', generationId: 2 ** 31, memberId: 'm' };
    expect(() => encodeRequest(heartbeat, 0, request)).toThrow(
      /Heartbeat v0 request: field generationId needs an integer/,
    );
    const long = { groupId: 'g'.repeat(40_000), generationId: 1, memberId: 'm' };
    expect(() => encodeRequest(heartbeat, 0, long)).toThrow(/groupId needs at most 32767 bytes/);
  });

  it('refuses versions that are not spoken', () => {
    const body = { maxWaitMs: 5, minBytes: 1, topics: [] };
    expect(() => encodeRequest(fetch, 19, body)).toThrow(/versions 4 to 18, not 19/);
    expect(() => encodeRequest(fetch, 3, body)).toThrow(/versions 4 to 18, not 3/);
  });
});

describe('byte fields', () => {
  it('are views into the message', () => {
    const records = Buffer.alloc(5_000, 1);
    const bytes = encodeRequest(produce, 9, {
      acks: -1,
      timeoutMs: 1,
      topicData: [{ name: 't', partitionData: [{ index: 0, records }] }],
    });
    const decoded = decodeRequest(produce, 9, bytes);
    const view = decoded.topicData[0]!.partitionData[0]!.records!;
    expect(view.equals(records)).toBe(true);
    expect(view.buffer).toBe(bytes.buffer);
  });

  it('of any size keep their place among the small ones', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 6_000 }), { maxLength: 8 }), (sizes) => {
        const partitionData = sizes.map((size, index) => ({
          index,
          records: Buffer.alloc(size, index + 1),
        }));
        const body = { acks: -1, timeoutMs: 1, topicData: [{ name: 'topic', partitionData }] };
        const decoded = decodeRequest(produce, 7, encodeRequest(produce, 7, body));
        expect(decoded.topicData[0]!.partitionData).toEqual(partitionData);
      }),
      { numRuns: 40 },
    );
  });
});

describe('a message of many ids', () => {
  it('has every one, wherever the writer made room', () => {
    const topics = Array.from({ length: 1_000 }, (_, n) => ({
      name: null,
      topicId: (n + 1).toString(16).padStart(8, '0').repeat(4),
    }));
    const bytes = encodeRequest(deleteTopics, 6, { topics, timeoutMs: 1 });
    expect(decodeRequest(deleteTopics, 6, bytes).topics).toEqual(topics);
  });
});

describe('flexible versions', () => {
  it('begin where each API says', () => {
    expect(isFlexible(produce.key, 8)).toBe(false);
    expect(isFlexible(produce.key, 9)).toBe(true);
    expect(isFlexible(metadata.key, 9)).toBe(true);
    expect(isFlexible(findCoordinator.key, 2)).toBe(false);
    expect(isFlexible(17, 1)).toBe(false);
    expect(isFlexible(999, 1)).toBe(false);
  });
});
