/** Everything that is decoded once per request: messages of both sides, and what members send. */
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import {
  decodeAssignmentData,
  decodeMemberData,
  encodeAssignmentData,
  encodeMemberData,
} from '../../src/kafka/group/member-words.ts';
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../src/kafka/group/subscription.ts';
import { APIS } from '../../src/kafka/protocol/apis.ts';
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from '../../src/kafka/protocol/codec.ts';
import { decodeMetadata, encodeMetadata } from '../../src/transaction/step-id.ts';
import type { Target } from './fuzz.ts';

interface Vector {
  readonly api: string;
  readonly version: number;
  readonly side: 'request' | 'response';
  readonly bytes: string;
}

const MALFORMED = ['PROTOCOL_MALFORMED'];
/** One in so many results is written and read again. */
const VERIFY_ONE_IN = 4;

/** The bytes that Kafka 4.3.1's own classes wrote: every API, version and side. */
function vectors(): Vector[] {
  const file = new URL('../kafka/protocol/java-vectors.jsonl', import.meta.url);
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Vector);
}

function messageTarget({ api: name, version, side, bytes }: Vector): Target {
  const api = [...APIS.values()].find((each) => each.name === name)!;
  const decode = side === 'request' ? decodeRequest : decodeResponse;
  const encode = side === 'request' ? encodeRequest : encodeResponse;
  return {
    name: `${name} v${version} ${side}`,
    corpus: [Buffer.from(bytes, 'hex')],
    codes: MALFORMED,
    run(input, random) {
      const message = decode(api, version, input);
      if (!random.oneIn(VERIFY_ONE_IN)) return;
      const again = decode(api, version, encode(api, version, message as never));
      if (!isDeepStrictEqual(again, message)) throw new Error('read, written and read it differs');
    },
  };
}

/** What members tell each other through the broker; any process of the group may have written it. */
function memberTargets(): Target[] {
  const partitions = [{ topic: 'orders', partition: 3 }];
  const member = encodeMemberData({
    profile: {
      host: 'here:8080',
      fingerprint: 'f00d',
      subTopologies: [
        {
          name: 'orders',
          partitions: 8,
          inputs: ['0123456789abcdef'],
          changelogs: ['fedcba9876543210'],
        },
      ],
      schemas: new Map([['orders-value', 7]]),
    },
    claims: [
      { task: 'orders_3', generation: 7, since: 2 },
      { task: 'orders_4', generation: 7, since: 7 },
    ],
  });
  const tasks = encodeAssignmentData({
    tasks: ['orders_3', 'orders_4'],
    revoked: 1,
    profile: '0123456789abcdef',
    refusal: null,
    hosts: [{ host: 'there:8080', tasks: ['orders_1'] }],
  });
  const subscription = {
    topics: ['orders', 'payments'],
    userData: member,
    ownedPartitions: partitions,
    generation: 7,
    rackId: 'here',
  };
  const target = (name: string, corpus: Buffer[], run: (bytes: Buffer) => unknown): Target => ({
    name,
    corpus,
    codes: MALFORMED,
    run,
  });
  return [
    target(
      'group subscription',
      ([0, 1, 2, 3] as const).map((version) => encodeSubscription(version, subscription)),
      decodeSubscription,
    ),
    target(
      'group assignment',
      [encodeAssignment(3, { partitions, userData: tasks })],
      decodeAssignment,
    ),
    target('group member data', [member], decodeMemberData),
    target('group assignment data', [tasks], decodeAssignmentData),
    target('step id in offset metadata', [Buffer.from(encodeMetadata(METADATA, 4_096))], (bytes) =>
      decodeMetadata(bytes.toString()),
    ),
  ];
}

const METADATA = { stepId: '0123456789abcdef', partitionTime: 1_700_000_000_000 };

export function messageTargets(): Target[] {
  return [...vectors().map(messageTarget), ...memberTargets()];
}
