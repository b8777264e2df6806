/**
 * murmur2 as Kafka's Java producer computes it (Utils.murmur2), and the partition that follows.
 *
 * Computed once per record and shared by partitioning, table and changelog.
 */
const SEED = 0x9747b28c;
const M = 0x5bd1e995;

/** Unsigned 32 bits of Java's `Utils.murmur2` over `buffer[start, end)`. */
export function murmur2(buffer: Uint8Array, start: number, end: number): number {
  const length = end - start;
  let hash = SEED ^ length;
  let at = start;
  for (const last = end - 4; at <= last; at += 4) {
    let k =
      buffer[at]! | (buffer[at + 1]! << 8) | (buffer[at + 2]! << 16) | (buffer[at + 3]! << 24);
    k = Math.imul(k, M);
    k ^= k >>> 24;
    hash = Math.imul(hash, M) ^ Math.imul(k, M);
  }
  const rest = end - at;
  if (rest > 0) {
    if (rest === 3) hash ^= buffer[at + 2]! << 16;
    if (rest >= 2) hash ^= buffer[at + 1]! << 8;
    hash = Math.imul(hash ^ buffer[at]!, M);
  }
  hash = Math.imul(hash ^ (hash >>> 13), M);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** The partition of a key with this hash, as Java's default partitioner chooses it. */
export function partitionOf(hash: number, partitions: number): number {
  return (hash & 0x7fff_ffff) % partitions;
}
