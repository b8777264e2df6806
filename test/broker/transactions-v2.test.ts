import { describe, expect, test } from 'vitest';
import type { BrokerOptions } from '../../src/broker/options.ts';
import { KafkaErrorCode as Code } from '../../src/kafka/protocol/error-codes.ts';
import { Client, type Producer, stage } from './client.ts';

const ID = 'app-in-0';
const RECORD = { values: ['a'], sequence: 0 };

function ready(options = {}) {
  const staged = stage(options);
  const { client } = staged;
  client.createTopic('t', 2);
  client.createTopic('in');
  return { ...staged, producer: client.init(ID) };
}

function produced(client: Client, producer: Producer, index = 0, spec = RECORD, version = 12) {
  return client.produceIn(ID, producer, 't', index, spec, version).errorCode;
}

/** A producer with one record in an ongoing transaction on t/0. */
function ongoing(options = {}) {
  const staged = ready(options);
  expect(produced(staged.client, staged.producer)).toBe(Code.NONE);
  return staged;
}

/** Nothing open, and an epoch that a commit has bumped. */
function committed(options = {}) {
  const staged = ongoing(options);
  const { client, ports, producer: first } = staged;
  const producer = client.endV2(ID, first, 'commit');
  ports.advance(20);
  return { ...staged, first, producer };
}

function stateOf({ broker }: ReturnType<typeof ready>) {
  return broker.listTransactions()[0]!;
}

/** A producer that has one epoch left, with a record in an ongoing transaction. */
function exhausted() {
  const staged = ready();
  let { producer } = staged;
  while (producer.producerEpoch < 32_766) producer = staged.client.init(ID);
  expect(produced(staged.client, producer)).toBe(Code.NONE);
  return { ...staged, producer };
}

describe('transactions v2', () => {
  test('rule 7: Produce 12 adds its partitions to the transaction', () => {
    const staged = ongoing();
    expect(stateOf(staged)).toMatchObject({
      state: 'Ongoing',
      participants: [{ kind: 'partition', topic: 't', partition: 0 }],
    });
    const { client, ports, producer } = staged;
    expect(client.endV2(ID, producer, 'commit').errorCode).toBe(Code.NONE);
    ports.advance(20);
    expect(client.log('t')).toEqual(['a', 'commit@1']);
  });

  test('rule 7: TxnOffsetCommit 5 adds its group to the transaction', () => {
    const { client, ports, producer } = ready();
    const version = 5;
    expect(client.txnOffsetCommit(ID, producer, 'g', 7, { version })).toBe(Code.NONE);
    expect(client.committed('g').errorCode).toBe(Code.UNSTABLE_OFFSET_COMMIT);
    client.endV2(ID, producer, 'commit');
    ports.advance(20);
    expect(client.committed('g')).toMatchObject({ errorCode: 0, committedOffset: 7 });
  });

  test('rule 7: a zombie that its membership keeps out has added the group all the same', () => {
    const staged = ready();
    const { client, producer } = staged;
    const zombie = { version: 5, generationId: 3, memberId: 'gone' };
    expect(client.txnOffsetCommit(ID, producer, 'g', 7, zombie)).toBe(Code.ILLEGAL_GENERATION);
    expect(stateOf(staged).participants).toEqual([{ kind: 'offsets', group: 'g' }]);
  });

  test('rule 7: requests of the versions before do not add', () => {
    const { client, producer } = ready();
    expect(produced(client, producer, 0, RECORD, 11)).toBe(Code.TRANSACTION_ABORTABLE);
    expect(produced(client, producer, 0, RECORD, 10)).toBe(Code.INVALID_TXN_STATE);
    const commit = (version: number) => client.txnOffsetCommit(ID, producer, 'g', 7, { version });
    expect(commit(4)).toBe(Code.TRANSACTION_ABORTABLE);
    expect(commit(3)).toBe(Code.INVALID_TXN_STATE);
  });

  test.each(['commit', 'abort'] as const)(
    'rule 7: every %s bumps the epoch, answers the next and marks with it',
    (result) => {
      const { client, ports, producer } = ongoing();
      const next = client.endV2(ID, producer, result);
      expect(next).toMatchObject({ producerId: producer.producerId, producerEpoch: 1 });
      ports.advance(20);
      expect(client.log('t')).toEqual(['a', `${result}@1`]);
      expect(produced(client, next)).toBe(Code.NONE);
    },
  );

  test('rule 7: a record of the epoch before is refused after the marker', () => {
    const { client, first, producer } = committed();
    const late = { values: ['late'], sequence: 1 };
    expect(produced(client, first, 0, late)).toBe(Code.INVALID_PRODUCER_EPOCH);
    // A partition that never saw the producer asks the coordinator.
    expect(produced(client, first, 1, RECORD)).toBe(Code.INVALID_PRODUCER_EPOCH);
    expect(produced(client, producer)).toBe(Code.NONE);
    expect(client.log('t')).toEqual(['a', 'commit@1', 'a']);
  });

  test('rule 7: a record of the same epoch ahead of the marker is part of the transaction', () => {
    const { client, ports, producer } = ongoing();
    client.endV2(ID, producer, 'abort');
    expect(produced(client, producer, 0, { values: ['late'], sequence: 1 })).toBe(Code.NONE);
    ports.advance(20);
    expect(client.log('t')).toEqual(['a', 'late', 'abort@1']);
  });

  test('rule 7: EndTxn of the epoch before is a repeat, but only of the same result', () => {
    const { client, ports, first, producer } = committed();
    expect(client.endV2(ID, first, 'commit')).toMatchObject({ errorCode: 0, producerEpoch: 1 });
    expect(client.endV2(ID, first, 'abort').errorCode).toBe(Code.INVALID_TXN_STATE);
    const again = client.endV2(ID, producer, 'abort');
    ports.advance(20);
    expect(client.endV2(ID, producer, 'abort')).toMatchObject({ errorCode: 0, producerEpoch: 2 });
    expect(client.endV2(ID, producer, 'commit').errorCode).toBe(Code.INVALID_TXN_STATE);
    expect(client.endV2(ID, first, 'commit').errorCode).toBe(Code.PRODUCER_FENCED);
    expect(again.producerEpoch).toBe(2);
  });

  test('rule 7: an abort of nothing bumps, a commit of nothing is refused', () => {
    const { client, ports, producer } = ready();
    expect(client.endV2(ID, producer, 'commit').errorCode).toBe(Code.INVALID_TXN_STATE);
    const next = client.endV2(ID, producer, 'abort');
    expect(next).toMatchObject({ errorCode: 0, producerEpoch: 1 });
    ports.advance(20);
    expect(client.endV2(ID, next, 'commit').errorCode).toBe(Code.INVALID_TXN_STATE);
    expect(client.endV2(ID, next, 'abort')).toMatchObject({ errorCode: 0, producerEpoch: 2 });
  });

  test('rule 7: an epoch before is fenced while a transaction runs', () => {
    const { client, first, producer } = committed();
    produced(client, producer);
    expect(client.endV2(ID, first, 'commit').errorCode).toBe(Code.PRODUCER_FENCED);
    expect(client.endV2(ID, producer, 'commit').errorCode).toBe(Code.NONE);
  });

  test('rule 3: everybody is asked to wait while the outcome is written, zombies too', () => {
    const { client, producer } = ongoing();
    const next = client.endV2(ID, producer, 'commit');
    expect(client.endV2(ID, producer, 'commit').errorCode).toBe(Code.CONCURRENT_TRANSACTIONS);
    expect(client.endV2(ID, next, 'abort').errorCode).toBe(Code.CONCURRENT_TRANSACTIONS);
    expect(client.init(ID).errorCode).toBe(Code.CONCURRENT_TRANSACTIONS);
    const version = 5;
    expect(client.txnOffsetCommit(ID, next, 'g', 1, { version })).toBe(
      Code.CONCURRENT_TRANSACTIONS,
    );
    expect(client.txnOffsetCommit(ID, producer, 'g', 1, { version })).toBe(
      Code.CONCURRENT_TRANSACTIONS,
    );
  });

  test('rule 7: the broker holds a Produce back while the transaction before is completed', () => {
    const { client, ports, producer } = ongoing({ markerDelayMs: 15 });
    const next = client.endV2(ID, producer, 'commit');
    const later = client.postProduceV2(ID, next, 't', [0, 1], { values: ['b'], sequence: 0 });
    expect(later.answers).toEqual([]);
    ports.advance(40);
    const { partitionResponses } = later.answers[0]!.responses[0]!;
    expect(partitionResponses.map((each) => each.errorCode)).toEqual([0, 0]);
    expect(client.log('t')).toEqual(['a', 'commit@1', 'b']);
    expect(client.log('t', 1)).toEqual(['b']);
  });

  test('rule 7: the broker gives up on it after 100 ms', () => {
    const { client, ports, producer } = ongoing({ markerDelayMs: 10_000 });
    const next = client.endV2(ID, producer, 'commit');
    const later = client.postProduceV2(ID, next, 't', [1], { values: ['b'], sequence: 0 });
    ports.advance(99);
    expect(later.answers).toEqual([]);
    ports.advance(1);
    const { errorCode } = later.answers[0]!.responses[0]!.partitionResponses[0]!;
    expect(errorCode).toBe(Code.CONCURRENT_TRANSACTIONS);
    expect(client.log('t', 1)).toEqual([]);
  });

  test('rule 7: an epoch that was never given is refused', () => {
    const { client, producer } = ready();
    const stranger = { producerId: producer.producerId, producerEpoch: 9 };
    expect(produced(client, stranger)).toBe(Code.INVALID_PRODUCER_EPOCH);
    expect(client.log('t')).toEqual([]);
  });

  test('rule 9: a first batch of an unknown producer has sequence 0', () => {
    const { client, producer } = ready();
    const gap = { values: ['b'], sequence: 3 };
    expect(produced(client, producer, 0, gap)).toBe(Code.OUT_OF_ORDER_SEQUENCE_NUMBER);
    expect(produced(client, producer)).toBe(Code.NONE);
  });

  test('rule 5: InitProducerId on an ongoing transaction aborts it and bumps twice', () => {
    const { client, ports, producer } = ongoing();
    expect(client.init(ID).errorCode).toBe(Code.CONCURRENT_TRANSACTIONS);
    ports.advance(20);
    expect(client.log('t')).toEqual(['a', 'abort@1']);
    expect(client.init(ID)).toMatchObject({ errorCode: 0, producerEpoch: 2 });
    expect(client.endV2(ID, producer, 'commit').errorCode).toBe(Code.PRODUCER_FENCED);
  });

  test('rule 6: a client that ran out of time may learn of the abort and go on', () => {
    const { client, ports, producer } = ongoing();
    ports.advance(10_020);
    expect(client.log('t')).toEqual(['a', 'abort@1']);
    expect(client.endV2(ID, producer, 'commit').errorCode).toBe(Code.INVALID_TXN_STATE);
    expect(client.endV2(ID, producer, 'abort')).toMatchObject({ errorCode: 0, producerEpoch: 1 });
    expect(client.init(ID, producer)).toMatchObject({ errorCode: 0, producerEpoch: 1 });
  });

  test('rule 7: an exhausted epoch gives a new producer id with the answer to EndTxn', () => {
    const { client, ports, producer } = exhausted();
    const next = client.endV2(ID, producer, 'commit');
    expect(next).toMatchObject({ errorCode: 0, producerEpoch: 0 });
    expect(next.producerId).not.toBe(producer.producerId);
    // The new id is known once the markers are written; until then everybody waits.
    const early = client.txnOffsetCommit(ID, next, 'g', 1, { version: 5 });
    expect(early).toBe(Code.CONCURRENT_TRANSACTIONS);
    ports.advance(20);
    expect(client.log('t')).toEqual(['a', 'commit@32767']);
    const { producerId, producerEpoch } = next;
    const known = { errorCode: 0, producerId, producerEpoch };
    expect(client.endV2(ID, producer, 'commit')).toMatchObject(known);
    expect(client.init(ID, producer)).toMatchObject(known);
    expect(produced(client, next)).toBe(Code.NONE);
    expect(client.endV2(ID, producer, 'commit').errorCode).not.toBe(Code.NONE);
  });

  test('rule 7: a fence at the last epoch rotates the producer id as well', () => {
    const { client, ports, producer } = exhausted();
    expect(client.init(ID).errorCode).toBe(Code.CONCURRENT_TRANSACTIONS);
    ports.advance(20);
    const next = client.init(ID);
    expect(next).toMatchObject({ errorCode: 0, producerEpoch: 1 });
    expect(next.producerId).not.toBe(producer.producerId);
  });
});

describe('a coordinator that takes its time to write', () => {
  const APPEND_MS = 10;

  /** The producer comes late, too. */
  function initiated(options: Partial<BrokerOptions> = {}, seed = 1) {
    const { coordinatorAppendMs = APPEND_MS } = options;
    const staged = stage({ ...options, coordinatorAppendMs }, seed);
    const { client, ports } = staged;
    client.createTopic('t', 2);
    client.createTopic('in');
    const asked = client.postInit(ID);
    ports.advance(coordinatorAppendMs);
    return { ...staged, producer: asked.answers[0]! };
  }

  function codesOf(later: ReturnType<Client['postProduceV2']>) {
    const answer = later.answers[0]?.responses[0];
    return answer?.partitionResponses.map((each) => each.errorCode) ?? null;
  }

  test('answers when it has written, and makes everybody else wait', () => {
    const { client, ports, producer } = initiated();
    const first = client.postProduceV2(ID, producer, 't', [0], RECORD);
    expect(codesOf(first)).toBeNull();
    expect(client.init(ID).errorCode).toBe(Code.CONCURRENT_TRANSACTIONS);
    expect(client.endV2(ID, producer, 'abort').errorCode).toBe(Code.CONCURRENT_TRANSACTIONS);
    ports.advance(APPEND_MS);
    expect(codesOf(first)).toEqual([0]);
    expect(client.log('t')).toEqual(['a']);
  });

  test('lets two first requests of a transaction displace each other on the way', () => {
    const { broker, client, ports, producer } = initiated();
    const other = new Client(broker);
    const third = new Client(broker);
    const first = client.postProduceV2(ID, producer, 't', [0], RECORD);
    const second = other.postProduceV2(ID, producer, 't', [1], RECORD);
    const commit = third.postTxnOffsetCommit(ID, producer, 'g', 7, 5);
    // The commit took the place of the second Produce, which is to be sent again.
    expect(codesOf(second)).toEqual([Code.NOT_ENOUGH_REPLICAS]);
    ports.advance(APPEND_MS);
    expect(codesOf(first)).toEqual([0]);
    expect(commit.answers).toEqual([]);
    ports.advance(APPEND_MS);
    expect(commit.answers[0]!.topics[0]!.partitions[0]!.errorCode).toBe(Code.NONE);
  });

  test('is asked again by the broker when it was busy with another first request', () => {
    const { broker, ports, producer } = initiated({ nodes: 2 });
    const clients = [new Client(broker, 'x', 0), new Client(broker, 'x', 1)] as const;
    const [first, second] = clients.map((client, index) =>
      client.postProduceV2(ID, producer, 't', [index], RECORD),
    );
    ports.advance(APPEND_MS);
    expect([codesOf(first!), codesOf(second!)]).toEqual([[0], null]);
    ports.advance(20);
    expect(codesOf(second!)).toEqual([0]);
  });

  test('that moves while it writes answers NOT_COORDINATOR, and has written or not', () => {
    const states = new Set<string>();
    for (let seed = 1; seed <= 20; seed++) {
      const { broker, client, ports, producer } = initiated({}, seed);
      const first = client.postProduceV2(ID, producer, 't', [0], RECORD);
      ports.advance(APPEND_MS);
      expect(codesOf(first)).toEqual([0]);
      const ending = client.postEndV2(ID, producer, 'commit');
      broker.moveCoordinator('transaction', ID);
      expect(ending.answers[0]!.errorCode).toBe(Code.NOT_COORDINATOR);
      const wasWritten = broker.listTransactions()[0]!.state === 'PrepareCommit';
      states.add(String(wasWritten));
      ports.advance(100);
      // A repeat of the same result is right in either case.
      const again = client.postEndV2(ID, producer, 'commit');
      ports.advance(100);
      expect(again.answers[0]!).toMatchObject({ errorCode: 0, producerEpoch: 1 });
      expect(client.log('t')).toEqual(['a', 'commit@1']);
    }
    expect(states.size).toBe(2);
  });

  test('has not run out of time while it writes the end', () => {
    const { client, ports, producer } = initiated({ coordinatorAppendMs: 50 });
    const first = client.postProduceV2(ID, producer, 't', [0], RECORD);
    ports.advance(50);
    expect(codesOf(first)).toEqual([0]);
    ports.advance(9_970);
    const ending = client.postEndV2(ID, producer, 'commit');
    ports.advance(200);
    expect(ending.answers[0]!.errorCode).toBe(Code.NONE);
    expect(client.log('t')).toEqual(['a', 'commit@1']);
  });
});
