/** What happens to a record that fails: the choices for `onError` of a stream or repartition. */
import type { RecordPolicy } from '../topology/node.ts';

/** The default: the task stops before its commit and names the record. */
export function fail(): RecordPolicy {
  return { kind: 'fail' };
}

/** The record leaves nothing behind but its offset. */
export function skip(): RecordPolicy {
  return { kind: 'skip' };
}

/**
 * The record's own bytes go to `topic`, in the same transaction as its offset; the reason and the
 * source coordinates are headers. The topic must exist. Kafka Streams: KIP-1034.
 */
export function deadLetter(topic: string): RecordPolicy {
  return { kind: 'dead-letter', topic };
}

/**
 * Processes the record again, up to `attempts` times after the first (1 or more), then follows
 * `then` (default `fail()`). Calls to other systems are made again, too.
 */
export function retry(attempts: number, then: RecordPolicy = fail()): RecordPolicy {
  return { kind: 'retry', attempts, then };
}
