/**
 * Reads one partition from an offset to an offset, as fast as it comes: restore and verification.
 *
 * I1. The next request leaves before the current chunk is handed out.
 * I2. Requests never wait on the broker (`read` lane), so reading does not delay other partitions;
 *     where nothing comes, the pause is here.
 * I3. It ends: at `to`, or with an error when the position has not moved for the request timeout. What
 *     counts is when a look was sent: its answer may have waited for a process that stood still.
 */
import { EscapementError } from '../../errors.ts';
import { atLeader } from '../cluster/at-leader.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { type FetchedRecords, parseFetched } from '../records/parse-fetched.ts';
import { type FetchedPartition, fetchOne, type Isolation } from './fetch-request.ts';

const BYTES_PER_REQUEST = 4 * 1024 * 1024;
const PAUSE_MS = 10;

export interface ReadRange {
  readonly cluster: Cluster;
  readonly topic: string;
  readonly partition: number;
  /** First offset to read. */
  readonly from: number;
  /** Reads until the position is here or beyond. */
  readonly to: number;
  readonly isolation: Isolation;
  /** Default 4 MiB. */
  readonly bytesPerRequest?: number;
  /** Most bytes that one compressed batch may become. Default 64 MiB. */
  readonly decompressedBytesMax?: number;
}

interface Read {
  readonly fetched: FetchedPartition;
  readonly chunk: FetchedRecords | null;
}

/** Chunks in order; the last one may hold records at `to` and beyond, which the caller skips. */
export async function* readRange(range: ReadRange): AsyncGenerator<FetchedRecords> {
  const { cluster, to } = range;
  const { clock, timers } = cluster.ports;
  let position = range.from;
  if (position >= to) return;
  let heldSince: number | null = null;
  let askedAt = clock.monotonic();
  let next = read(range, position);
  while (position < to) {
    const { fetched, chunk } = await next;
    if (chunk === null) {
      // From the first look on: what was lost before it says nothing about the log.
      heldSince ??= clock.monotonic();
      if (askedAt - heldSince > cluster.requestTimeoutMs) throw held(range, position, fetched);
      await timers.sleep(PAUSE_MS);
      askedAt = clock.monotonic();
      next = read(range, position);
      continue;
    }
    position = chunk.nextOffset;
    heldSince = null;
    if (position < to) next = read(range, position);
    yield chunk;
  }
}

function read(range: ReadRange, position: number): Promise<Read> {
  const { cluster, topic, partition, isolation } = range;
  const terms = {
    isolation,
    maxWaitMs: 0,
    bytesPerPartitionMax: range.bytesPerRequest ?? BYTES_PER_REQUEST,
  };
  let corrupt = 0;
  const reading = atLeader(cluster, topic, partition, async (node) => {
    for (;;) {
      const fetched = await fetchOne(cluster, node, { topic, partition, position }, terms);
      try {
        return { fetched, chunk: parse(range, position, fetched) };
      } catch (error) {
        // Once it may be the network: the same bytes are fetched again.
        const again = error instanceof EscapementError && error.code === 'BATCH_CORRUPT';
        if (!again || corrupt++ > 0) throw error;
      }
    }
  });
  // The consumer may leave the loop while this request is under way.
  reading.catch(() => {});
  return reading;
}

function parse(
  range: ReadRange,
  position: number,
  fetched: FetchedPartition,
): FetchedRecords | null {
  const { records, abortedTransactions } = fetched;
  if (records === null || records.length === 0) return null;
  const { isolation } = range;
  const { topic, partition, decompressedBytesMax } = range;
  const chunk = parseFetched(records, {
    fetchOffset: position,
    isolation,
    abortedTransactions,
    source: { topic, partition },
    ...(decompressedBytesMax === undefined ? {} : { decompressedBytesMax }),
  });
  return chunk.nextOffset > position ? chunk : null;
}

function held(range: ReadRange, position: number, fetched: FetchedPartition): EscapementError {
  const { topic, partition, to } = range;
  const { lastStableOffset, highWatermark } = fetched;
  const at = { topic, partition, offset: position };
  const where =
    `Reading ${topic}-${partition} up to offset ${to} has stopped at ${position} ` +
    `(last stable offset ${lastStableOffset}, high watermark ${highWatermark}).`;
  return highWatermark < to
    ? new EscapementError('OFFSET_OUT_OF_RANGE', `${where} The log is shorter than that.`, { at })
    : new EscapementError(
        'CHANGELOG_HELD',
        `${where} An open transaction holds it: find its producer id with ` +
          "'kafka-transactions.sh find-hanging' and abort it.",
        { at },
      );
}
