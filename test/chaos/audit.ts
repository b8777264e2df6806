/**
 * The judge of a chaos run: holds every emission against a model of the input while the run goes on.
 *
 * Fed from raw logs by followers that do not wait for one another, so an emission is judged when the
 * input record that it names was read and the fate of the repartition record that brought it is known.
 *
 * I1. Emissions of an output partition are judged in the order of the log.
 * I2. After a violation an account's model goes on from what was emitted: one defect is told once.
 */
import type { RawRecord } from '../../src/simulation/oracle/raw-batches.ts';
import { type AccountRow, NEW_ACCOUNT, nextRow, PARTITIONS } from './topology.ts';

export type ViolationKind = 'lost' | 'duplicated' | 'swapped' | 'wrong' | 'dirty';

export interface Violation {
  readonly kind: ViolationKind;
  /** How many records it is about. */
  readonly records: number;
  readonly text: string;
}

export interface Emission {
  readonly partition: number;
  readonly offset: number;
  readonly account: string;
  readonly row: AccountRow;
  /** `<partition>:<offset>` of its input record. */
  readonly id: string;
  /** `<partition>:<offset>` of the repartition record that brought it. */
  readonly via: string;
  /** The process that wrote it. */
  readonly writer: string;
}

interface Account {
  row: AccountRow;
  /** Input records without an emission yet, in their order. */
  readonly awaited: { readonly id: string; readonly amount: number }[];
  /** Input records that a later one has overtaken. */
  readonly overtaken: Set<string>;
}

interface Brought {
  /** Ids of input records, by the offset of the committed record that brings them. */
  readonly committed: Map<number, string>;
  readonly aborted: Set<number>;
  /** Below it, all is known. */
  settledEnd: number;
  /** What was deleted unread lies below it. */
  skippedEnd: number;
}

export class Audit {
  readonly violations: Violation[] = [];
  readonly #accounts = new Map<string, Account>();
  readonly #inputEnds = new Array<number>(PARTITIONS).fill(0);
  readonly #brought: Brought[] = Array.from({ length: PARTITIONS }, () => ({
    committed: new Map(),
    aborted: new Set(),
    settledEnd: 0,
    skippedEnd: 0,
  }));
  /** Emissions that cannot be judged yet, by output partition. */
  readonly #waiting: Emission[][] = Array.from({ length: PARTITIONS }, () => []);
  readonly #violated: (violation: Violation) => void;
  inputs = 0;
  emissions = 0;
  /** Output records of transactions that were rolled back: work that was done twice and shown once. */
  rolledBack = 0;
  /** Emissions whose repartition record was deleted before it could be looked at. */
  unseen = 0;

  constructor(violated: (violation: Violation) => void = () => {}) {
    this.#violated = violated;
  }

  /** Input records whose emission has not been judged. */
  get awaited(): number {
    return this.inputs - this.emissions;
  }

  input(partition: number, record: RawRecord): void {
    const [name, amount] = String(record.value).split(' ') as [string, string];
    this.#account(name).awaited.push({ id: `${partition}:${record.offset}`, amount: +amount });
    this.inputs += 1;
    this.#inputEnds[partition] = record.offset + 1;
  }

  brought(partition: number, record: RawRecord, fate: 'committed' | 'aborted'): void {
    const { committed, aborted } = this.#brought[partition]!;
    if (fate === 'aborted') aborted.add(record.offset);
    else committed.set(record.offset, String(record.value).split(' ')[0]!);
  }

  /** The fate of everything below `end` in a repartition partition has been told. */
  settled(partition: number, end: number): void {
    this.#brought[partition]!.settledEnd = end;
  }

  skipped(partition: number, end: number): void {
    this.#brought[partition]!.skippedEnd = end;
  }

  /** A committed output record; returns what it says. */
  emitted(partition: number, record: RawRecord): Emission {
    const emission = emissionOf(partition, record);
    this.#waiting[partition]!.push(emission);
    return emission;
  }

  /** Judges what can be judged by now. */
  judge(): void {
    for (const waiting of this.#waiting) {
      let judged = 0;
      while (judged < waiting.length && this.#canJudge(waiting[judged]!)) {
        this.#judge(waiting[judged]!);
        judged += 1;
      }
      if (judged > 0) waiting.splice(0, judged);
    }
  }

  /** When everything was read: what never came, and what nothing explains. */
  finish(): void {
    this.judge();
    for (const emission of this.#waiting.flat()) {
      this.#violate('wrong', emission, 'names a record that is not there');
    }
    for (const [name, { awaited }] of this.#accounts) {
      // Those that were overtaken have been told.
      for (const { id } of awaited) {
        this.#tell('lost', `input ${id} of account ${name} was never emitted`);
      }
    }
  }

  /** Holds the last committed row of each account's changelog against the model. */
  changelog(rows: ReadonlyMap<string, string>): void {
    for (const [name, { row, awaited }] of this.#accounts) {
      if (awaited.length > 0) continue;
      const found = rows.get(name)?.split(' ').slice(0, 3).join(' ') ?? 'nothing';
      if (found === shown(row)) continue;
      this.#tell(
        'wrong',
        `changelog of account ${name}: '${found}' where '${shown(row)}' should be`,
      );
    }
    for (const name of rows.keys()) {
      if (this.#accounts.has(name)) continue;
      this.#tell('wrong', `changelog: account ${name} is not in the input`);
    }
  }

  counts(): Readonly<Record<ViolationKind, number>> {
    const counts = { lost: 0, duplicated: 0, swapped: 0, wrong: 0, dirty: 0 };
    for (const { kind, records } of this.violations) counts[kind] += records;
    // What came late was not lost.
    counts.lost -= counts.swapped;
    return counts;
  }

  #account(name: string): Account {
    let account = this.#accounts.get(name);
    if (account === undefined) {
      account = { row: NEW_ACCOUNT, awaited: [], overtaken: new Set() };
      this.#accounts.set(name, account);
    }
    return account;
  }

  #canJudge({ id, via }: Emission): boolean {
    const [input, offset] = placeOf(id);
    const [partition, at] = placeOf(via);
    const settledEnd = this.#brought[partition]?.settledEnd ?? 0;
    return offset < (this.#inputEnds[input] ?? 0) && at < settledEnd;
  }

  #judge(emission: Emission): void {
    this.#judgeSource(emission);
    const account = this.#account(emission.account);
    const at = account.awaited.findIndex(({ id }) => id === emission.id);
    if (at < 0) {
      if (account.overtaken.delete(emission.id)) this.#violate('swapped', emission, 'comes late');
      else this.#violate('duplicated', emission, 'was emitted before');
      account.row = emission.row;
      return;
    }
    this.emissions += 1;
    const passed = account.awaited.splice(0, at + 1);
    const { id, amount } = passed.pop()!;
    if (passed.length > 0) {
      for (const each of passed) account.overtaken.add(each.id);
      const ids = passed.map((each) => each.id).join(', ');
      const what = `comes without ${ids}, which the account had first`;
      this.#violate('lost', emission, what, passed.length);
      account.row = emission.row;
      return;
    }
    const expected = nextRow(account.row, id, amount);
    if (shown(expected) !== shown(emission.row)) {
      this.#violate('wrong', emission, `says '${shown(emission.row)}', not '${shown(expected)}'`);
    }
    account.row = emission.row;
  }

  #judgeSource(emission: Emission): void {
    const [partition, offset] = placeOf(emission.via);
    const { committed, aborted, skippedEnd } = this.#brought[partition]!;
    const id = committed.get(offset);
    committed.delete(offset);
    if (id === emission.id) return;
    if (id !== undefined) {
      this.#violate('wrong', emission, `was brought by the record of input ${id}`);
    } else if (aborted.has(offset)) {
      this.#violate('dirty', emission, 'was read from a transaction that was rolled back');
    } else if (offset < skippedEnd) this.unseen += 1;
    // Else it was brought before: the account says so, too.
  }

  #violate(kind: ViolationKind, emission: Emission, what: string, records = 1): void {
    const { partition, offset, account, id, via, writer } = emission;
    this.#tell(
      kind,
      `output ${partition}:${offset} (account ${account}, input ${id}, repartition ${via}, ` +
        `by ${writer}) ${what}`,
      records,
    );
  }

  #tell(kind: ViolationKind, text: string, records = 1): void {
    const violation = { kind, text, records };
    this.violations.push(violation);
    this.#violated(violation);
  }
}

function emissionOf(partition: number, { offset, key, value }: RawRecord): Emission {
  const [count, sum, hash, id, via, writer] = String(value).split(' ') as string[];
  const row = { count: Number(count), sum: Number(sum), hash: Number(hash) };
  const account = String(key);
  return { partition, offset, account, row, id: id!, via: via!, writer: writer! };
}

function placeOf(id: string): [partition: number, offset: number] {
  const cut = id.indexOf(':');
  return [Number(id.slice(0, cut)), Number(id.slice(cut + 1))];
}

function shown({ count, sum, hash }: AccountRow): string {
  return `${count} ${sum} ${hash}`;
}
