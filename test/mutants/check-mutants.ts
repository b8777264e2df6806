/**
 * Mutants of the evidence that one check of the oracle alone can notice. Where the model would see
 * them as well, it is blindfolded: what is generic must not lean on it.
 */
import { type Differential, differential } from '../../src/simulation/differential.ts';
import type { Check, StoreRows } from '../../src/simulation/oracle/evidence.ts';
import type { Exchange } from '../../src/simulation/oracle/transaction-trace.ts';
import { type SimulationOptions, simulate } from '../../src/simulation/simulation.ts';
import type { Tamper } from '../../src/simulation/tamper.ts';
import type { UserCode, Workload } from '../../src/simulation/workload.ts';
import { listAppend } from '../simulation/workloads/list-append.ts';
import { transfer } from '../simulation/workloads/transfer.ts';
import { change, changeRecord, flip, inPartition, without } from './batch-edits.ts';

export interface CheckMutant {
  readonly name: string;
  readonly tamper?: Tamper;
  /** Default: list-append. */
  readonly workload?: Workload;
  /** The check that must notice it, and no other may. */
  readonly only?: Check;
  readonly judge?: (options: SimulationOptions) => Promise<{ violations: readonly string[] }>;
}

const OFFSET_FETCH = 9;
const HEARTBEAT = 12;
const INIT_PRODUCER_ID = 22;
const END_TXN = 26;
const TXN_OFFSET_COMMIT = 28;
const UNKNOWN_MEMBER_ID = 25;

const OUTPUT = 'out-1';
const blind: Workload = { ...listAppend, check: () => [], source: () => null };
const withoutModel: Workload = { ...listAppend, check: () => [] };
const bankWithoutModel: Workload = { ...transfer, check: () => [] };

/** The n-th request of its kind by a process after the faults, changed. */
function nth(apiKey: number, n: number, edit: (exchange: Exchange) => Exchange): Tamper {
  const counts = new Map<string, number>();
  return {
    exchange: (exchange) => {
      if (exchange.apiKey !== apiKey || !exchange.process.startsWith('q')) return exchange;
      const count = (counts.get(exchange.process) ?? 0) + 1;
      counts.set(exchange.process, count);
      return count === n ? edit(exchange) : exchange;
    },
  };
}

const byAnother = (exchange: Exchange): Exchange => ({ ...exchange, process: 'p9.1' });

/** TxnOffsetCommit: the generation stands behind two short texts, a producer id and its epoch. */
function withoutGeneration(exchange: Exchange): Exchange {
  const request = Buffer.from(exchange.request);
  const group = request[0]!;
  request.writeInt32BE(-1, group + request[group]! + 8 + 2);
  return { ...exchange, request };
}

/** The first offset of a later step is that of the beginning. */
function backwards(): Tamper {
  return nth(TXN_OFFSET_COMMIT, 1, (exchange) => {
    const request = Buffer.from(exchange.request);
    request.writeBigInt64BE(0n, offsetAt(request));
    return { ...exchange, request };
  });
}

/** TxnOffsetCommit: the first offset stands behind the member's names, a topic and a partition. */
function offsetAt(request: Buffer): number {
  const skip = (at: number): number => at + Math.max(1, request[at]!);
  const member = skip(skip(0)) + 8 + 2 + 4;
  const topics = skip(skip(member));
  const partitions = skip(topics + 1);
  return partitions + 1 + 4;
}

function lastShown(edit: (rows: Map<string, string>) => void): Tamper {
  return {
    stores: (stores) => {
      const at = stores.findLastIndex(({ moment, rows }) => moment === 'rest' && rows.size > 0);
      return stores.map((store, index) => (index === at ? edited(store, edit) : store));
    },
  };
}

function edited(store: StoreRows, edit: (rows: Map<string, string>) => void): StoreRows {
  const rows = new Map(store.rows);
  edit(rows);
  return { ...store, rows };
}

/** A step that is under way is shown as if it were committed. */
function shownTooEarly(): Tamper {
  return {
    stores: (stores) => {
      const last = stores.findLast(({ rows }) => rows.size > 0)!;
      const early = stores.findIndex(
        ({ changelog, partition }) => changelog === last.changelog && partition === last.partition,
      );
      return stores.map((store, at) => (at === early ? { ...store, rows: last.rows } : store));
    },
  };
}

/** Once, what was aborted is there as if it were committed. */
function sawAborted(): Tamper {
  let isOver = false;
  return {
    readerView: (view) => {
      if (isOver || view.topic !== 'out' || view.aborted.length === 0) return view;
      isOver = true;
      const committed = [...view.committed, ...view.aborted];
      return { ...view, committed: committed.sort((a, b) => a.offset - b.offset) };
    },
  };
}

const compared =
  (check: Differential) =>
  async (options: SimulationOptions): Promise<{ violations: readonly string[] }> => {
    const run = await simulate(options);
    const committed = run.committed.map((line, at) => (at === 0 ? `${line}00` : line));
    return { violations: await differential(check, options, { ...run, committed }) };
  };

/** It writes a record where nobody reads. */
const unread: Workload = {
  ...blind,
  topics: { ...blind.topics, stray: 1 },
  inputs: (random, records) => [
    ...blind.inputs(random, records),
    { topic: 'stray', partition: 0, key: 'k', value: 'v', timestampMs: 1 },
  ],
};

const leaking: Workload = {
  ...blind,
  topology: (user: UserCode) => {
    const goOn = async (): Promise<void> => {
      for (;;) await user.call();
    };
    void goOn();
    return blind.topology(user);
  },
};

export const CHECK_MUTANTS: readonly CheckMutant[] = [
  {
    name: 'a store lacks a row',
    tamper: lastShown((rows) => rows.delete([...rows.keys()][0]!)),
    only: 'stores',
  },
  {
    name: 'a store has another value',
    tamper: lastShown((rows) => rows.set([...rows.keys()][0]!, '00')),
    only: 'stores',
  },
  { name: 'a row is shown before its commit', tamper: shownTooEarly(), only: 'stores' },
  {
    name: 'the offset alone is behind',
    tamper: { committedOffset: (offset) => offset - 1 },
    only: 'offsets',
  },
  { name: 'an offset goes back', workload: blind, tamper: backwards(), only: 'offsets' },
  {
    name: 'an abort is a commit, without a model',
    workload: blind,
    tamper: inPartition(OUTPUT, flip('abort')),
    only: 'atomicity',
  },
  {
    name: 'a commit is an abort, without a model',
    workload: blind,
    tamper: inPartition(OUTPUT, flip('commit')),
    only: 'atomicity',
  },
  {
    name: 'an output is of another transaction, without a model',
    workload: withoutModel,
    tamper: inPartition(
      OUTPUT,
      change(1, (batch) => ({ ...batch, producerEpoch: batch.producerEpoch + 1 })),
    ),
    only: 'atomicity',
  },
  {
    name: 'a credit has another amount',
    workload: bankWithoutModel,
    tamper: inPartition(
      'app-credits-repartition-0',
      changeRecord(1, (record) => ({ ...record, value: Buffer.from('1000') })),
    ),
    only: 'conservation',
  },
  {
    name: 'a reader loses what it saw',
    tamper: {
      readerView: (view, atMs) =>
        view.topic === 'out' && atMs > 8_000
          ? { ...view, committed: view.committed.slice(1) }
          : view,
    },
    only: 'reader',
  },
  {
    name: 'a reader saw what was aborted',
    tamper: sawAborted(),
    only: 'reader',
  },
  {
    name: 'something hides the end from readers',
    tamper: { stableEnd: (offset, topic) => (topic === 'out' ? offset - 1 : offset) },
    only: 'open',
  },
  {
    name: 'a transaction is listed as unfinished',
    tamper: { openTransactions: (lines) => [...lines, 'app-in-0 Ongoing'] },
    only: 'open',
  },
  {
    name: 'a transaction has no end, without a model',
    workload: blind,
    tamper: inPartition(
      OUTPUT,
      without((all) => all.findLastIndex(({ marker }) => marker !== null)),
    ),
    only: 'open',
  },
  {
    name: 'another process ends a transaction',
    tamper: nth(END_TXN, 1, byAnother),
    only: 'owner',
  },
  {
    name: 'another process commits the offsets',
    tamper: nth(TXN_OFFSET_COMMIT, 1, byAnother),
    only: 'owner',
  },
  {
    name: 'a step names no generation',
    tamper: nth(TXN_OFFSET_COMMIT, 1, withoutGeneration),
    only: 'owner',
  },
  {
    name: 'an id is taken without asking the group',
    tamper: {
      exchange: (exchange) => {
        if (exchange.apiKey !== HEARTBEAT) return exchange;
        const answer = Buffer.from(exchange.answer);
        answer.writeInt16BE(UNKNOWN_MEMBER_ID, 4);
        return { ...exchange, answer };
      },
    },
    only: 'owner',
  },
  {
    name: 'offsets are read before the id is taken',
    tamper: {
      exchange: (exchange) =>
        exchange.apiKey === OFFSET_FETCH ? { ...exchange, sentAtMs: 0 } : exchange,
    },
    only: 'owner',
  },
  {
    name: 'another process has taken the id',
    tamper: nth(INIT_PRODUCER_ID, 1, byAnother),
    only: 'owner',
  },
  {
    name: 'an undisturbed run leaves something else',
    judge: compared('undisturbed'),
    only: 'undisturbed',
  },
  { name: 'a replay leaves something else', judge: compared('replay'), only: 'replay' },
  { name: 'a record is never read', workload: unread, only: 'rest' },
  { name: 'a stopped process goes on', workload: leaking, only: 'leak' },
];
