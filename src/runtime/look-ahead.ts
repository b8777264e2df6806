/**
 * Asks memory for the rows of the next records before these run.
 *
 * A count waits for memory twice a record, for its place in the table's index and for its row. One by
 * one these waits follow each other; asked for a run of records at once the processor overlaps them,
 * which takes 7 to 10 % off the whole path. The hashes are kept, so nothing is hashed twice.
 *
 * I1. It reads and changes nothing: with it or without it every record does the same.
 * I2. `next` goes in step with the cursor of the queue: once for each of its records.
 * I3. What cannot be decoded is the queue's to report, at its turn: here the look ahead ends.
 */
import { murmur2 } from '../kafka/records/murmur2.ts';
import type { FetchedRecords } from '../kafka/records/parse-fetched.ts';
import { RecordCursor } from '../kafka/records/record-cursor.ts';
import type { Serde } from '../serde/serde.ts';
import type { KeyValueStore } from '../state/key-value-store.ts';
import type { SourceNode, TopologyNode } from '../topology/node.ts';

/** Records of a run: their rows must still be in the cache when the last one runs. */
const RUN = 64;

export class LookAhead {
  /** What was read last: kept, so that no compiler takes the reading for useless. */
  seen = 0;
  readonly #store: Pick<KeyValueStore, 'warm'>;
  readonly #cursor = new RecordCursor();
  readonly #hashes = new Uint32Array(RUN);
  #at = 0;
  #end = 0;
  #hasMore = false;

  constructor(store: Pick<KeyValueStore, 'warm'>) {
    this.#store = store;
  }

  load(chunk: FetchedRecords): void {
    this.#cursor.load(chunk);
    this.#at = 0;
    this.#end = 0;
    this.#hasMore = true;
  }

  /** The hash of the next record's key; -1 when it is not known. Of a null key it is any number. */
  next(): number {
    if (this.#at === this.#end) {
      if (!this.#hasMore) return -1;
      this.#run();
      if (this.#end === 0) return -1;
    }
    const hash = this.#hashes[this.#at]!;
    this.#at += 1;
    return hash;
  }

  #run(): void {
    const cursor = this.#cursor;
    this.#at = 0;
    this.#end = 0;
    try {
      while (this.#end < RUN && this.#advance()) {
        const { buffer, keyStart, keyEnd } = cursor;
        this.#hashes[this.#end] = keyStart < 0 ? 0 : murmur2(buffer, keyStart, keyEnd);
        this.#end += 1;
      }
    } catch {
      this.#hasMore = false; // I3
    }
    this.seen = this.#store.warm(this.#hashes, this.#end);
  }

  #advance(): boolean {
    this.#hasMore = this.#cursor.next();
    return this.#hasMore;
  }
}

/** Whether records leave it at once, with the key as it came. What is false costs only speed. */
const PRESERVES_KEYS: Readonly<Record<TopologyNode['kind'], boolean>> = {
  source: true,
  merge: true,
  filter: true,
  peek: true,
  mapValues: true,
  flatMapValues: true,
  selectKey: false,
  segment: false,
  mapAsync: false,
  repartition: false,
  aggregate: false,
  windowedAggregate: false,
  late: false,
  sink: false,
};

/** The store in which a source's keys are looked up as they came, or null. */
export function storeOfKeys(source: SourceNode, nodes: readonly TopologyNode[]): string | null {
  const key: Serde<unknown> = source.key;
  if ((key.partitionTrailerBytes ?? 0) > 0) return null;
  const reached = new Set([source.id]);
  // Nodes are in an order in which parents come first.
  for (const node of nodes) {
    if (!node.parents.some((id) => reached.has(id))) continue;
    if (node.kind === 'aggregate' && node.key === key) return node.store;
    if (PRESERVES_KEYS[node.kind]) reached.add(node.id);
  }
  return null;
}
