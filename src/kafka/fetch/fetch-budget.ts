/**
 * How many bytes all partitions of an instance may hold that no task has taken yet.
 *
 * One half is for whoever asks first. The other half is divided among the partitions, and one that
 * holds nothing may always ask for its share: partitions that are slow or paused fill the first half
 * and no more, so they never keep another from being read.
 *
 * I1. What is held and what is asked for stay within `bytesMax` together. Two things go beyond it: a
 *     broker sends the first batch of an answer whole, also when it is larger than what was asked
 *     for; and compressed batches take their decompressed size once they are here.
 * I2. Whatever is held or asked for is given back exactly once.
 */
import { invariant } from '../../errors.ts';

/** What one request may ask for. */
export interface Grant {
  /** `empty`: only partitions that hold nothing may be asked for. */
  readonly whom: 'all' | 'empty';
  readonly partitionBytes: number;
  readonly answerBytes: number;
}

/** What one answer may hold in all, so that many partitions do not make a giant one. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

export class FetchBudget {
  readonly #bytesMax: number;
  readonly #bytesPerPartitionMax: number;
  #partitions = 0;
  #held = 0;
  #asked = 0;

  constructor(options: { readonly bytesMax: number; readonly bytesPerPartitionMax: number }) {
    this.#bytesMax = options.bytesMax;
    this.#bytesPerPartitionMax = options.bytesPerPartitionMax;
  }

  /** Bytes that are held and asked for. */
  get bytes(): number {
    return this.#held + this.#asked;
  }

  get held(): number {
    return this.#held;
  }

  enter(): void {
    this.#partitions += 1;
  }

  leave(): void {
    this.#partitions -= 1;
  }

  hold(bytes: number): void {
    this.#held += bytes;
  }

  release(bytes: number): void {
    this.#held -= bytes;
    invariant(this.#held >= 0, 'more fetched bytes are given back than are held', { bytes });
  }

  /** For a request that could ask for `wanting` partitions, of which `empty` hold nothing. */
  grant(wanting: number, empty: number): Grant {
    const half = Math.floor(this.#bytesMax / 2);
    const room = half - this.#held - this.#asked;
    const share = Math.max(1, Math.floor(half / Math.max(1, this.#partitions)));
    const partitionBytes = Math.min(this.#bytesPerPartitionMax, half);
    if (room >= empty * share && room > 0) {
      const answerBytes = Math.min(ANSWER_BYTES_MAX, room, wanting * partitionBytes);
      return { whom: 'all', partitionBytes, answerBytes };
    }
    const least = Math.min(share, partitionBytes);
    return {
      whom: 'empty',
      partitionBytes: least,
      answerBytes: Math.min(ANSWER_BYTES_MAX, empty * least),
    };
  }

  /** The request with this grant is sent; `answered` gives its bytes back. */
  ask({ answerBytes }: Grant): void {
    this.#asked += answerBytes;
  }

  answered({ answerBytes }: Grant): void {
    this.#asked -= answerBytes;
    invariant(this.#asked >= 0, 'a fetch is answered twice', { answerBytes });
  }
}
