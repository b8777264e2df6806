import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FrameGuard } from '../../../src/kafka/transport/frame-guard.ts';

const BYTES_MAX = 100;

/** Frames of these sizes, one behind the other. */
function framed(sizes: readonly number[]): Buffer {
  return Buffer.concat(
    sizes.map((size) => {
      const frame = Buffer.alloc(4 + Math.min(size, 2 * BYTES_MAX), 0xff);
      frame.writeUInt32BE(size);
      return frame;
    }),
  );
}

it('frames of any size up to the bound pass, in pieces of any size; one larger does not', () => {
  const sizes = fc.array(fc.integer({ min: 0, max: BYTES_MAX }), { maxLength: 8 });
  const larger = fc.option(fc.integer({ min: BYTES_MAX + 1, max: 0xffff_ffff }));
  const cuts = fc.array(fc.nat({ max: 900 }), { maxLength: 8 });
  fc.assert(
    fc.property(sizes, larger, cuts, (good, bad, cut) => {
      const bytes = framed(bad === null ? good : [...good, bad]);
      const guard = new FrameGuard(BYTES_MAX);
      const ends = [...cut.map((at) => at % (bytes.length + 1)), bytes.length].sort(
        (a, b) => a - b,
      );
      const passAll = () => {
        let start = 0;
        for (const end of ends) {
          guard.pass(bytes.subarray(start, end));
          start = end;
        }
      };
      if (bad === null) passAll();
      else {
        const code = bad >>> 16 === 0x1503 ? 'TLS_FAILED' : 'PROTOCOL_MALFORMED';
        expect(passAll).toThrow(expect.objectContaining({ code }));
      }
    }),
  );
});

it('a TLS alert is known for what it is, unless frames of its size are allowed', () => {
  const alert = Buffer.from('15030300020250', 'hex');
  const refusal = expect.objectContaining({
    code: 'TLS_FAILED',
    message: expect.stringContaining('`ssl`'),
  });
  expect(() => new FrameGuard(BYTES_MAX).pass(alert)).toThrow(refusal);
  expect(() => new FrameGuard(0x7fff_ffff).pass(alert)).not.toThrow();
});
