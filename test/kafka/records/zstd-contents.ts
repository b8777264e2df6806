/** Contents whose zstd frames meet every part of the format: see `zstd-frames.json`. */
function numbers(count: number, seed: number): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return state >>> 8;
  });
}

const line = (at: number) => `{"id":${(at * 7_919) % 1_003},"name":"user-${at % 97}"}\n`;
const lines = (count: number) =>
  Buffer.from(Array.from({ length: count }, (_, at) => line(at)).join(''));

export const zstdContents: Readonly<Record<string, Buffer>> = {
  empty: Buffer.alloc(0),
  'one byte': Buffer.from('x'),
  'json lines': lines(60),
  'json lines over several blocks': lines(6_000),
  'a long run': Buffer.alloc(300_000, 7),
  noise: Buffer.from(numbers(600, 3)),
  'few symbols': Buffer.from(numbers(3_000, 5).map((each) => 97 + (each % 3) * (each % 2))),
  'many symbols, unevenly': Buffer.from(
    numbers(4_000, 9).map((each) => Math.floor(((each % 256) * (each % 251)) / 320)),
  ),
  'repeats near and far': Buffer.concat([lines(40), Buffer.from(numbers(700, 11)), lines(40)]),
};
