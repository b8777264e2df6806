/**
 * What a run of a crash test committed, by topic, partition and key: how two runs are compared, and
 * what is said of the difference.
 *
 * Outputs: every record, in any order, since which partition is read first is nobody's promise.
 * Changelogs: the last value of each key.
 */
import { inspect } from 'node:util';
import { encodedBytes } from '../serde/encode-buffer.ts';
import type { Serde } from '../serde/serde.ts';
import type { Topology } from '../topology/node.ts';
import { isStateful } from '../topology/sub-topologies.ts';
import type { CommittedRecord } from './oracle/committed-log.ts';

export interface RowGroup {
  /** `out-0, key 'k'`. */
  readonly place: string;
  /** In the order in which they were committed. */
  readonly values: readonly string[];
}

/** By topic, partition and key, all as bytes. */
export type Rows = ReadonlyMap<string, RowGroup>;

/** A record for people: by the serdes of whoever writes the topic. */
export type Reader = (topic: string, part: 'key' | 'value', bytes: Buffer | null) => string;

export interface RowsOptions {
  readonly records: readonly CommittedRecord[];
  readonly kept: 'all' | 'latest';
  readonly read: Reader;
}

export function rowsOf({ records, kept, read }: RowsOptions): Rows {
  const rows = new Map<string, RowGroup>();
  for (const { topic, partition, key, value } of records) {
    const id = `${topic} ${partition} ${key?.toString('hex')}`;
    const before = kept === 'latest' ? [] : (rows.get(id)?.values ?? []);
    const place = `${topic}-${partition}, key ${read(topic, 'key', key)}`;
    rows.set(id, { place, values: [...before, read(topic, 'value', value)] });
  }
  return rows;
}

const SHOWN_MOST = 12;

/** One text for each key whose values differ. */
export function rowDifferences(expected: Rows, got: Rows): readonly string[] {
  const ids = new Set([...expected.keys(), ...got.keys()]);
  return [...ids].flatMap((id) => {
    const [wanted, found] = [expected, got].map((rows) => rows.get(id)?.values ?? []);
    if (sorted(wanted!) === sorted(found!)) return [];
    const { place } = (expected.get(id) ?? got.get(id))!;
    return [`${place}: expected ${listed(wanted!)}\n  got ${listed(found!)}`];
  });
}

function sorted(values: readonly string[]): string {
  return JSON.stringify([...values].sort());
}

function listed(values: readonly string[]): string {
  if (values.length === 0) return 'nothing';
  const more = values.length - SHOWN_MOST;
  return values.slice(0, SHOWN_MOST).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/**
 * Reads with the serdes of the topology's nodes; what they cannot read is text, or hexadecimal. What
 * reads alike is told apart by its bytes.
 */
export function readerOf(topology: Topology): Reader {
  return (topic, part, bytes) => {
    if (bytes === null) return 'null';
    const node = topology.nodes.find((each) => writes(each, topic));
    const serde = node !== undefined && 'key' in node ? (node[part] as Serde<unknown>) : null;
    const read = serde === null ? null : decodedText(serde, bytes);
    return read ?? plainText(bytes);
  };
}

function writes(node: Topology['nodes'][number], topic: string): boolean {
  if (node.kind === 'sink') return node.topic === topic;
  return isStateful(node) && topic.endsWith(`-${node.store}-changelog`);
}

/** In one line, and whole: what is shown is what is compared. */
const INSPECTED = {
  depth: Number.POSITIVE_INFINITY,
  breakLength: Number.POSITIVE_INFINITY,
  maxArrayLength: Number.POSITIVE_INFINITY,
  maxStringLength: Number.POSITIVE_INFINITY,
};

/** Null when the bytes are not what the serde writes for what it reads. */
function decodedText(serde: Serde<unknown>, bytes: Buffer): string | null {
  try {
    const value = serde.decode(bytes, 0, bytes.length);
    if (!encodedBytes(serde, value).equals(bytes)) return null;
    return inspect(value, INSPECTED);
  } catch {
    return null;
  }
}

function plainText(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  return /^[\x20-\x7e]+$/.test(text) ? inspect(text) : `0x${bytes.toString('hex')}`;
}
