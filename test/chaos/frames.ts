/** Frames of Kafka's protocol on a byte stream: what the proxy must know of them, and no more. */

const SIZE_BYTES = 4;

export interface RequestHead {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  readonly clientId: string;
}

/** Cuts the pieces of a stream into whole frames, size prefix included. */
export class FrameReader {
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** Bytes of the frame under way, 0 while its size is not known. */
  #needed = 0;

  push(piece: Buffer): Buffer[] {
    const frames: Buffer[] = [];
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    for (;;) {
      if (this.#needed === 0) {
        if (this.#bytes < SIZE_BYTES) return frames;
        this.#needed = SIZE_BYTES + this.#whole().readInt32BE(0);
      }
      if (this.#bytes < this.#needed) return frames;
      const whole = this.#whole();
      frames.push(whole.subarray(0, this.#needed));
      const rest = whole.subarray(this.#needed);
      this.#pieces = rest.length === 0 ? [] : [rest];
      this.#bytes = rest.length;
      this.#needed = 0;
    }
  }

  #whole(): Buffer {
    if (this.#pieces.length > 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0]!;
  }
}

/** Of a request's frame: the part of the header that every version of every API has. */
export function requestHead(frame: Buffer): RequestHead {
  const clientLength = frame.length >= 14 ? frame.readInt16BE(12) : -1;
  return {
    apiKey: frame.readInt16BE(4),
    apiVersion: frame.readInt16BE(6),
    correlationId: frame.readInt32BE(8),
    clientId: clientLength > 0 ? frame.toString('utf8', 14, 14 + clientLength) : '',
  };
}

/** Of an answer's frame. */
export function correlationOf(frame: Buffer): number {
  return frame.readInt32BE(4);
}
