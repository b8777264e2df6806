/**
 * What happened in a simulation, as a hash of everything and, when somebody wants to read it, as
 * lines. Two runs with the same hash did the same in the same order with the same bytes.
 */

/** FNV-1a over 32 bits. */
const OFFSET_BASIS = 0x811c9dc5;
const PRIME = 0x01000193;

export class History {
  readonly #lines: string[] | null;
  #hash = OFFSET_BASIS;

  /** `kept` keeps the lines; `hashed` only their hash, which is much less memory. */
  constructor(lines: 'kept' | 'hashed' = 'hashed') {
    this.#lines = lines === 'kept' ? [] : null;
  }

  /** Hexadecimal, of everything noted so far. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  get lines(): readonly string[] {
    return this.#lines ?? [];
  }

  note(atMs: number, who: string, what: string, bytes?: Buffer): void {
    const line = `${atMs.toFixed(3)} ${who} ${what}`;
    let hash = this.#hash;
    for (let at = 0; at < line.length; at++) {
      hash = Math.imul(hash ^ line.charCodeAt(at), PRIME);
    }
    if (bytes !== undefined) {
      for (let at = 0; at < bytes.length; at++) hash = Math.imul(hash ^ bytes[at]!, PRIME);
    }
    this.#hash = hash;
    this.#lines?.push(line);
  }
}
