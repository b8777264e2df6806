/**
 * The partition that Java's default partitioner gives a customer: murmur2 of the id's UTF-8 bytes.
 *
 * Written here once more although escapement has it: the run is judged by code of its own.
 */
const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;

/** Java's `Utils.murmur2`, as the signed 32-bit number that Java gives. */
export function murmur2(bytes: Buffer): number {
  const words = bytes.length >> 2;
  let hash = SEED ^ bytes.length;
  for (let word = 0; word < words; word += 1) {
    let mixed = Math.imul(bytes.readInt32LE(word * 4), MULTIPLIER);
    mixed = Math.imul(mixed ^ (mixed >>> 24), MULTIPLIER);
    hash = Math.imul(hash, MULTIPLIER) ^ mixed;
  }
  const rest = bytes.subarray(words * 4);
  if (rest.length > 0) {
    hash ^= rest.reduce((sum, byte, index) => sum | (byte << (8 * index)), 0);
    hash = Math.imul(hash, MULTIPLIER);
  }
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
  return hash ^ (hash >>> 15);
}

export function partitionOfCustomer(customerId: string, partitions: number): number {
  return (murmur2(Buffer.from(customerId)) & 0x7fffffff) % partitions;
}
