/**
 * What becomes of a record that failed: its source's policy.
 *
 * A failed record has left nothing behind when this is asked: its writes are rolled back. A dead
 * letter is written in the same transaction as the record's offset, with its original bytes.
 */
import { EscapementError, messageOf } from '../errors.ts';
import type { Header } from '../kafka/records/headers.ts';
import { murmur2, partitionOf } from '../kafka/records/murmur2.ts';
import type { Log } from '../telemetry/log.ts';
import { calledBy } from '../topology/check.ts';
import type { AnyRec, RecordPolicy, SourceNode } from '../topology/node.ts';
import type { OutputTopic } from '../transaction/scope.ts';
import type { Effects } from './context.ts';

export type Verdict = 'retry' | 'skip' | 'dead-letter';

/** Header names of a dead letter. */
export const DEAD_LETTER_HEADERS = {
  code: 'escapement.error.code',
  reason: 'escapement.error.reason',
  topic: 'escapement.source.topic',
  partition: 'escapement.source.partition',
  offset: 'escapement.source.offset',
  timestamp: 'escapement.source.timestamp',
} as const;

const REASON_LENGTH_MAX = 500;

export class RecordPolicies {
  readonly #task: string;
  readonly #log: Log;
  readonly #deadLetterTopic: (name: string) => OutputTopic;
  readonly counts = { skipped: 0, deadLettered: 0, retried: 0 };

  constructor(task: string, log: Log, deadLetterTopic: (name: string) => OutputTopic) {
    this.#task = task;
    this.#log = log;
    this.#deadLetterTopic = deadLetterTopic;
  }

  /**
   * Decides on a failure. `attempt` counts from 1. Throws the error, with the record's coordinates,
   * when the policy is `fail` or when the error is not the record's.
   */
  decide(error: EscapementError, source: SourceNode, attempt: number): Verdict {
    if (error.decision !== 'record') throw error;
    const policy = effectivePolicy(source.onError, attempt);
    switch (policy.kind) {
      case 'fail':
        throw error;
      case 'retry':
        this.counts.retried += 1;
        return 'retry';
      case 'skip':
        this.counts.skipped += 1;
        this.#log.warn({ task: this.#task, code: error.code, ...error.at }, 'record skipped');
        return 'skip';
      case 'dead-letter':
        this.counts.deadLettered += 1;
        this.#log.warn({ task: this.#task, code: error.code, ...error.at }, 'record dead-lettered');
        return 'dead-letter';
    }
  }

  /** Writes the record's original bytes to the dead-letter topic of its source. */
  bury(record: AnyRec, error: EscapementError, source: SourceNode, effects: Effects): void {
    const policy = effectivePolicy(source.onError, Number.POSITIVE_INFINITY);
    if (policy.kind !== 'dead-letter') return;
    const topic = this.#deadLetterTopic(policy.topic);
    const key = record.keyStart < 0 ? null : record.keyBuffer;
    const partition =
      key === null
        ? record.meta.partition % topic.partitions
        : partitionOf(murmur2(key, record.keyStart, record.keyEnd), topic.partitions);
    effects.append(
      topic,
      partition,
      isEventTime(record.meta.timestamp) ? record.meta.timestamp : 0,
      key,
      record.keyStart,
      record.keyEnd,
      record.valueStart < 0 ? null : record.valueBuffer,
      record.valueStart,
      record.valueEnd,
      [...originalHeaders(record), ...reasonHeaders(record, error)],
    );
  }
}

/** The policy in force at an attempt: a used-up `retry` becomes its `then`. */
function effectivePolicy(policy: RecordPolicy, attempt: number): RecordPolicy {
  if (policy.kind !== 'retry' || attempt <= policy.attempts) return policy;
  return effectivePolicy(policy.then, attempt - policy.attempts);
}

/** Headers that cannot be read are a reason for the dead letter, not an obstacle to it. */
function originalHeaders(record: AnyRec): readonly Header[] {
  try {
    return record.meta.headers;
  } catch {
    return [];
  }
}

function reasonHeaders(record: AnyRec, error: EscapementError): Header[] {
  const text = (key: string, value: string): Header => ({ key, value: Buffer.from(value) });
  const { topic, partition, offset, timestamp } = record.meta;
  return [
    text(DEAD_LETTER_HEADERS.code, error.code),
    text(DEAD_LETTER_HEADERS.reason, error.message.slice(0, REASON_LENGTH_MAX)),
    text(DEAD_LETTER_HEADERS.topic, topic),
    text(DEAD_LETTER_HEADERS.partition, String(partition)),
    text(DEAD_LETTER_HEADERS.offset, String(offset)),
    text(DEAD_LETTER_HEADERS.timestamp, String(timestamp)),
  ];
}

/** Event times are whole and exact: stream time is compared, committed and read back. */
export function isEventTime(timestamp: number): boolean {
  return timestamp >= 0 && timestamp <= Number.MAX_SAFE_INTEGER;
}

/** An input record, with the source whose policy it follows. */
interface Failed {
  readonly record: AnyRec;
  readonly source: SourceNode;
}

/**
 * Wraps what a record's processing threw, once, with the record's coordinates. Of an error that names
 * the operator (`operator-error.ts`) the text is taken over, and its cause is the cause.
 */
export function recordError(cause: unknown, task: string, failed: Failed): EscapementError {
  if (cause instanceof EscapementError && cause.decision === 'stop') return cause;
  const { topic, partition, offset } = failed.record.meta;
  const at = { task, topic, partition, offset };
  const place = `${topic}-${partition}@${offset}`;
  // Any other decision is on a request, and none is made here: user code passes on a foreign error.
  if (cause instanceof EscapementError && cause.decision === 'record') {
    const { node } = cause.at;
    return new EscapementError(cause.code, `${place}: ${cause.message}${wayOn(failed)}`, {
      cause: cause.cause ?? cause,
      at: node === undefined ? at : { ...at, node },
      // The decision is this error's, not its code's: elsewhere the same code may be no record's.
      decision: cause.decision,
    });
  }
  const text = `${place}: user code threw: ${messageOf(cause)}${wayOn(failed)}`;
  return new EscapementError('RECORD_FAILED', text, { cause, at });
}

/** For a record that ends the instance: whose policy would let it go on. */
function wayOn({ source }: Failed): string {
  if (effectivePolicy(source.onError, Number.POSITIVE_INFINITY).kind !== 'fail') return '';
  return `\nTo go on without such records, set onError of ${calledBy(source)}.`;
}
