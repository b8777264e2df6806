/**
 * The step id: what tells, after an answer was lost, whether a step was committed.
 *
 * Every step writes its id into the metadata of the offsets it commits. An id is never used twice:
 * a random nonce per task session and a counter. The metadata also carries the partition's time,
 * which Kafka Streams keeps in the same place (TopicPartitionMetadata).
 */
import { EscapementError } from '../errors.ts';
import type { Randomness } from '../ports.ts';

const LAYOUT = 'e1';
const OURS = /^e1;([\w-]+\.[\da-z]+);(-1|\d+)$/;
/** Partition time before any record. */
export const TIME_UNKNOWN = -1;

export class StepIds {
  readonly #nonce: string;
  #count = 0;

  constructor(random: Randomness) {
    this.#nonce = random.bytes(9).toString('base64url');
  }

  next(): string {
    this.#count += 1;
    return `${this.#nonce}.${this.#count.toString(36)}`;
  }
}

/** What a committed offset says beside the offset. */
export interface OffsetMetadata {
  /** Id of the step that committed the offset; the empty string when it was not one of ours. */
  readonly stepId: string;
  /** Highest event time read from the partition, or `TIME_UNKNOWN`. */
  readonly partitionTime: number;
}

export function encodeMetadata(metadata: OffsetMetadata, bytesMax: number): string {
  const text = `${LAYOUT};${metadata.stepId};${metadata.partitionTime}`;
  if (text.length > bytesMax) {
    throw new EscapementError(
      'METADATA_TOO_LARGE',
      `The offset metadata of a step has ${text.length} bytes; the broker accepts ${bytesMax} ` +
        `(offset.metadata.max.bytes).`,
    );
  }
  return text;
}

/** Metadata written by others (a reset tool, an operator) counts as a step of nobody. */
export function decodeMetadata(text: string | null): OffsetMetadata {
  const found = OURS.exec(text ?? '');
  const partitionTime = Number(found?.[2]);
  if (found === null || !Number.isSafeInteger(partitionTime)) {
    return { stepId: '', partitionTime: TIME_UNKNOWN };
  }
  return { stepId: found[1]!, partitionTime };
}
