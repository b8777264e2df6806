/**
 * Follows the frames of a connection without keeping their bytes, so that an answer of an impossible
 * or too large size is refused when its size is read: kafkajs would collect it first, and throws on a
 * negative size where nobody catches.
 */
import { EscapementError } from '../../errors.ts';

/** What a TLS server says to a client that speaks no TLS: record type 21 of version 3. */
const TLS_ALERT = 0x1503;
const PREFIX_BYTES = 4;

export class FrameGuard {
  readonly #bytesMax: number;
  /** Bytes of the current frame that have not come. */
  #left = 0;
  #prefix = 0;
  #prefixBytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Throws `PROTOCOL_MALFORMED` for a frame that is larger than allowed, `TLS_FAILED` for TLS. */
  pass(piece: Buffer): void {
    for (let at = 0; at < piece.length; ) {
      if (this.#left > 0) {
        const passed = Math.min(this.#left, piece.length - at);
        this.#left -= passed;
        at += passed;
        continue;
      }
      this.#prefix = this.#prefix * 256 + piece[at++]!;
      this.#prefixBytes += 1;
      if (this.#prefixBytes === PREFIX_BYTES) this.#begin();
    }
  }

  /** A negative size is, unsigned, larger than any bound. */
  #begin(): void {
    const size = this.#prefix;
    this.#prefix = 0;
    this.#prefixBytes = 0;
    if (size > this.#bytesMax && size >>> 16 === TLS_ALERT) {
      throw new EscapementError(
        'TLS_FAILED',
        'The other side answers in TLS. A TLS listener needs `ssl`.',
      );
    }
    if (size > this.#bytesMax) {
      throw new EscapementError(
        'PROTOCOL_MALFORMED',
        `An answer claims ${size} bytes, more than frameBytesMax (${this.#bytesMax}) allows. Check ` +
          'that the other side is a Kafka broker without TLS on this port, or raise frameBytesMax.',
      );
    }
    this.#left = size;
  }
}
