import { describe, expect, test } from 'vitest';
import {
  newTransaction,
  TRANSACTION_SUCCESSORS,
  type TransactionState,
  transit,
} from '../../src/broker/transaction-state.ts';
import { stage } from './client.ts';

/** As in Kafka's TransactionState: which states a state may come from. */
const PREDECESSORS: Readonly<Record<TransactionState, readonly TransactionState[]>> = {
  Empty: ['CompleteAbort', 'CompleteCommit', 'Empty'],
  Ongoing: ['CompleteAbort', 'CompleteCommit', 'Empty', 'Ongoing'],
  PrepareCommit: ['Ongoing'],
  PrepareAbort: ['CompleteAbort', 'CompleteCommit', 'Empty', 'Ongoing', 'PrepareEpochFence'],
  CompleteCommit: ['PrepareCommit'],
  CompleteAbort: ['PrepareAbort'],
  PrepareEpochFence: ['Ongoing'],
  Dead: ['CompleteAbort', 'CompleteCommit', 'Empty'],
};

const STATES = Object.keys(PREDECESSORS) as TransactionState[];

describe('rule 1: a transaction', () => {
  test.each(STATES)('comes into %s from the states that Kafka allows, and from no other', (to) => {
    const from = STATES.filter((state) => TRANSACTION_SUCCESSORS[state].includes(to));
    expect(from.sort()).toEqual(PREDECESSORS[to]);
    for (const state of STATES) {
      const transaction = { ...newTransaction('id', 1), state };
      const step = () => transit(transaction, to, 0);
      if (from.includes(state)) step();
      else expect(step).toThrowError(/no legal successor/);
    }
  });

  test('is Empty, Ongoing, Prepare and Complete as its requests come', () => {
    const { client, broker, ports } = stage();
    client.createTopic('t');
    const state = () => broker.listTransactions()[0]!.state;
    const producer = client.init('id');
    expect(state()).toBe('Empty');
    client.produceIn('id', producer, 't', 0, { values: ['a'], sequence: 0 }, 12);
    expect(state()).toBe('Ongoing');
    client.init('id');
    expect(state()).toBe('PrepareAbort');
    ports.advance(20);
    expect(state()).toBe('CompleteAbort');
    const next = client.init('id');
    expect(state()).toBe('Empty');
    client.produceIn('id', next, 't', 0, { values: ['b'], sequence: 0 }, 12);
    client.endV2('id', next, 'commit');
    expect(state()).toBe('PrepareCommit');
    ports.advance(20);
    expect(state()).toBe('CompleteCommit');
  });
});
