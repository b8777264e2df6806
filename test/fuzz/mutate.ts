/** Bytes that are almost right: what a broken disk, a foreign client or an attacker would send. */
import type { Random } from './random.ts';

const BYTES = [0x00, 0x01, 0x02, 0x7f, 0x80, 0xfe, 0xff] as const;
const INT32S = [
  -0x8000_0000, -2, -1, 0, 1, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x3fff_ffff,
] as const;
const VARINTS = [
  'ffffffff0f',
  'feffffff0f',
  'ffffffff07',
  '808080808001',
  'ffffffffffffffffff01',
  '8000',
];
const LENGTH_MAX = 65_536;

type Mutation = (bytes: Buffer, random: Random, other: Buffer) => Buffer;

const flipBit: Mutation = (bytes, random) => {
  const at = random.below(bytes.length);
  bytes[at]! ^= 1 << random.below(8);
  return bytes;
};

const setByte: Mutation = (bytes, random) => {
  bytes[random.below(bytes.length)] = random.oneIn(3) ? random.below(256) : random.pick(BYTES);
  return bytes;
};

const setInt16: Mutation = (bytes, random) => {
  if (bytes.length < 2) return bytes;
  bytes.writeInt16BE((random.pick(INT32S) << 16) >> 16, random.below(bytes.length - 1));
  return bytes;
};

const setInt32: Mutation = (bytes, random) => {
  if (bytes.length < 4) return bytes;
  bytes.writeInt32BE(random.pick(INT32S), random.below(bytes.length - 3));
  return bytes;
};

const setInt64: Mutation = (bytes, random) => {
  if (bytes.length < 8) return bytes;
  const value = BigInt(random.pick(INT32S)) * (random.oneIn(2) ? 1n : 0x1_0000_0000n);
  bytes.writeBigInt64BE(value, random.below(bytes.length - 7));
  return bytes;
};

const setVarint: Mutation = (bytes, random) => {
  Buffer.from(random.pick(VARINTS), 'hex').copy(bytes, random.below(bytes.length));
  return bytes;
};

const truncate: Mutation = (bytes, random) => bytes.subarray(0, random.below(bytes.length));

const drop: Mutation = (bytes, random) => {
  const at = random.below(bytes.length);
  const end = Math.min(bytes.length, at + 1 + random.below(16));
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
};

const double: Mutation = (bytes, random) => {
  const at = random.below(bytes.length);
  const end = Math.min(bytes.length, at + 1 + random.below(64));
  return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
};

const splice: Mutation = (bytes, random, other) => {
  const at = random.below(bytes.length);
  const from = random.below(other.length);
  return Buffer.concat([bytes.subarray(0, at), other.subarray(from, from + random.below(256))]);
};

const noise: Mutation = (bytes, random) => {
  const at = random.below(bytes.length);
  const end = Math.min(bytes.length, at + 1 + random.below(32));
  for (let index = at; index < end; index++) bytes[index] = random.below(256);
  return bytes;
};

const MUTATIONS: readonly Mutation[] = [
  flipBit,
  flipBit,
  setByte,
  setByte,
  setInt16,
  setInt32,
  setInt64,
  setVarint,
  truncate,
  drop,
  double,
  splice,
  noise,
];

/** A copy of `bytes` with one to four things wrong; `other` lends pieces. */
export function mutate(bytes: Buffer, random: Random, other: Buffer): Buffer {
  let mutated = Buffer.from(bytes) as Buffer;
  for (let left = 1 + (random.below(16) >> 2); left > 0; left--) {
    if (mutated.length === 0) return mutated;
    mutated = random.pick(MUTATIONS)(mutated, random, other);
  }
  return mutated.length > LENGTH_MAX ? mutated.subarray(0, LENGTH_MAX) : mutated;
}
