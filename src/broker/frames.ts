/**
 * Cuts the bytes of a connection into frames: a length of four bytes and as many bytes as it says.
 *
 * Called by `tcp.ts` for every chunk that a socket yields.
 *
 * I1. A length outside of the bounds is found as soon as it is there, before its bytes are waited
 *     for: nothing is kept for a frame that is refused.
 * I2. A large frame is joined once, when its last chunk has come.
 */

/** `socket.request.max.bytes` of Kafka. */
export const FRAME_BYTES_MAX = 104_857_600;
export const LENGTH_BYTES = 4;

export class FrameReader {
  readonly #frames: Buffer[] = [];
  readonly #bytesMin: number;
  #chunks: Buffer[] = [];
  #chunkBytes = 0;
  /** Bytes to wait for before looking again. */
  #needed = LENGTH_BYTES;
  #waitingBytes = 0;

  /** `bytesMin` is the shortest frame that can be a request. */
  constructor(bytesMin: number) {
    this.#bytesMin = bytesMin;
  }

  /** Bytes of the whole frames that nobody has taken. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  push(chunk: Buffer): 'fine' | 'malformed' {
    this.#chunks.push(chunk);
    this.#chunkBytes += chunk.length;
    if (this.#chunkBytes < this.#needed) return 'fine';
    let bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    this.#needed = LENGTH_BYTES;
    while (bytes.length >= LENGTH_BYTES) {
      const length = bytes.readInt32BE(0);
      if (length < this.#bytesMin || length > FRAME_BYTES_MAX) return 'malformed';
      this.#needed = LENGTH_BYTES + length;
      if (bytes.length < this.#needed) break;
      this.#frames.push(bytes.subarray(LENGTH_BYTES, this.#needed));
      this.#waitingBytes += length;
      bytes = bytes.subarray(this.#needed);
      this.#needed = LENGTH_BYTES;
    }
    this.#chunks = bytes.length === 0 ? [] : [bytes];
    this.#chunkBytes = bytes.length;
    return 'fine';
  }

  take(): Buffer | undefined {
    const frame = this.#frames.shift();
    this.#waitingBytes -= frame?.length ?? 0;
    return frame;
  }
}
