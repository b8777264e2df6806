/**
 * What billing must come to: a plain loop over the input, the judge of a run.
 *
 * Shares no code with the framework nor with the topology, on purpose: prices, windows, invoice ids
 * and the rule for late events are written down here a second time.
 *
 * Per partition, in order: a record that cannot be decoded is dead and moves no time. Stream time is
 * the latest event so far, this one counted; an event is late when its hour's end + grace is not
 * after it. An event that cannot be billed (negative, or beyond int64) is dead and moves no time.
 */
import { createHash } from 'node:crypto';
import type { Invoice, Usage } from './usage.ts';

/** One record of the input topic; `usage` is `null` when its value cannot be decoded. */
export interface FoldInput {
  readonly partition: number;
  readonly key: Buffer;
  readonly value: Buffer;
  readonly usage: Usage | null;
}

/** A record that must come out as it went in. `offset`: its place within its partition. */
export interface SetAside {
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer;
  readonly value: Buffer;
}

export interface FoldResult {
  /** One per customer and hour. */
  readonly invoices: readonly Invoice[];
  readonly late: readonly SetAside[];
  readonly dead: readonly SetAside[];
}

const HOUR = 3_600_000n;
const GRACE = 600_000n;
const INT64_MAX = 9_223_372_036_854_775_807n;

interface Row {
  readonly customerId: string;
  readonly start: bigint;
  events: bigint;
  readonly quantities: Map<string, bigint>;
}

interface Partition {
  streamTime: bigint;
  records: number;
}

export class PlainFold {
  readonly #rows = new Map<string, Row>();
  readonly #partitions = new Map<number, Partition>();
  readonly #late: SetAside[] = [];
  readonly #dead: SetAside[] = [];

  /** Records of one partition come in their order; partitions may be mixed. */
  take(input: FoldInput): void {
    const partition = this.#partition(input.partition);
    const { key, value, usage } = input;
    const setAside = { partition: input.partition, offset: partition.records, key, value };
    partition.records += 1;
    if (usage === null || usage.at < 0n) {
      this.#dead.push(setAside);
      return;
    }
    const time = usage.at > partition.streamTime ? usage.at : partition.streamTime;
    const start = usage.at - (usage.at % HOUR);
    if (start + HOUR + GRACE <= time) {
      this.#late.push(setAside);
    } else if (!this.#add(key.toString(), start, usage)) {
      this.#dead.push(setAside);
      return;
    }
    partition.streamTime = time;
  }

  result(): FoldResult {
    const invoices = [...this.#rows.values()].map(invoiceOfRow);
    return { invoices, late: this.#late, dead: this.#dead };
  }

  #partition(number: number): Partition {
    let partition = this.#partitions.get(number);
    if (partition === undefined) {
      partition = { streamTime: -1n, records: 0 };
      this.#partitions.set(number, partition);
    }
    return partition;
  }

  /** False, and nothing changes, when the event cannot be billed. */
  #add(customerId: string, start: bigint, usage: Usage): boolean {
    const id = `${start} ${customerId}`;
    const row = this.#rows.get(id) ?? { customerId, start, events: 0n, quantities: new Map() };
    const sum = (row.quantities.get(usage.meter) ?? 0n) + usage.quantity;
    if (usage.quantity < 0n || sum > INT64_MAX) return false;
    if (priceOf(new Map(row.quantities).set(usage.meter, sum)) > INT64_MAX) return false;
    row.quantities.set(usage.meter, sum);
    row.events += 1n;
    this.#rows.set(id, row);
    return true;
  }
}

function priceOf(quantities: ReadonlyMap<string, bigint>): bigint {
  const requests = quantities.get('REQUESTS') ?? 0n;
  const storage = quantities.get('STORAGE') ?? 0n;
  const egress = quantities.get('EGRESS') ?? 0n;
  return requests * 4n + storage * 11n + egress * 90n;
}

function invoiceOfRow(row: Row): Invoice {
  const end = row.start + HOUR;
  const id = createHash('sha256');
  id.update(row.customerId).update('|').update(`${row.start}`).update('|').update(`${end}`);
  return {
    invoiceId: id.digest('hex'),
    customerId: row.customerId,
    windowStart: row.start,
    windowEnd: end,
    events: row.events,
    quantities: Object.fromEntries(row.quantities),
    amountMicros: priceOf(row.quantities),
  };
}
