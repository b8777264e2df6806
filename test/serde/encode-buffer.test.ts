/** Where values become bytes: nothing is cut off, whoever wrote the serde. */
import { expect, test } from 'vitest';
import { EncodeBuffer, encodedBytes } from '../../src/serde/encode-buffer.ts';
import type { Serde } from '../../src/serde/serde.ts';
import { string } from '../../src/serde/string.ts';
import { windowedSerde } from '../../src/serde/windowed.ts';

/** What one writes first, against the contract: `write` cuts off what does not fit. */
const cutting: Serde<unknown> = {
  name: 'cutting',
  encode: (value, buffer, at) => at + buffer.write(JSON.stringify(value), at),
  decode: (buffer, start, end) => JSON.parse(buffer.toString('utf8', start, end)),
};

/** As natural, and as wrong: the position is beyond the room. */
const overshooting: Serde<string> = {
  name: 'overshooting',
  encode: (value, buffer, at) => {
    buffer.write(value, at);
    return at + Buffer.byteLength(value);
  },
  decode: (buffer, start, end) => buffer.toString('utf8', start, end),
};

const TEXTS = ['a', 'é', '€', '😀', 'a😀'].flatMap((unit) =>
  // Around the first room of 512 bytes, and around the rooms that follow.
  [
    100, 125, 126, 127, 128, 129, 169, 170, 171, 255, 256, 257, 509, 510, 511, 512, 513, 1_023,
    1_024,
  ]
    .concat([200_000])
    .map((count) => unit.repeat(count)),
);

test('a serde that cuts off what does not fit is asked again until nothing is missing', () => {
  for (const text of TEXTS) {
    expect(encodedBytes(cutting, text).equals(Buffer.from(JSON.stringify(text)))).toBe(true);
    const length = Buffer.byteLength(text);
    expect(encodedBytes(overshooting, text).equals(Buffer.from(text)), `${length}`).toBe(true);
  }
});

test('a serde that keeps its contract is written the same, whatever room there is', () => {
  const scratch = new EncodeBuffer();
  for (const text of [...TEXTS].reverse()) {
    expect(encodedBytes(string(), text).equals(Buffer.from(text))).toBe(true);
    const end = scratch.encode(string(), text);
    expect(scratch.buffer.toString('utf8', 0, end)).toBe(text);
  }
});

test('a key that is cut off within a windowed one is asked again, too', () => {
  const serde = windowedSerde(cutting, 10);
  for (const text of TEXTS) {
    const bytes = encodedBytes(serde, { key: text, start: 20, end: 30 });
    expect(bytes.subarray(0, -8).equals(Buffer.from(JSON.stringify(text)))).toBe(true);
  }
});

test('a value that leaves room is encoded once', () => {
  let calls = 0;
  const counting: Serde<string> = {
    ...string(),
    encode: (value, buffer, at) => {
      calls += 1;
      return string().encode(value, buffer, at);
    },
  };
  const scratch = new EncodeBuffer();
  for (const length of [0, 1, 100, 508]) scratch.encode(counting, 'x'.repeat(length));
  expect(calls).toBe(4);
});

test('a position that is none is refused, and so is room without an end', () => {
  const returning = (end: unknown): Serde<string> => ({
    ...string(),
    name: 'mine',
    encode: () => end as number,
  });
  for (const end of [undefined, Number.NaN, {}, -0.5]) {
    expect(() => encodedBytes(returning(end), 'x')).toThrow(
      expect.objectContaining({
        code: 'SERDE_FAILED',
        message: expect.stringMatching(/^mine: encode returned .*position/),
      }),
    );
  }
  const endless = { ...string(), encode: (_: string, buffer: Buffer) => buffer.length };
  const tooLarge = expect.objectContaining({ code: 'RECORD_TOO_LARGE', decision: 'record' });
  expect(() => encodedBytes(endless, 'x')).toThrow(tooLarge);
  expect(() => encodedBytes(returning(-1), 'x')).toThrow(tooLarge);
  expect(() => encodedBytes(returning(-(2 ** 40)), 'x')).toThrow(tooLarge);
});
