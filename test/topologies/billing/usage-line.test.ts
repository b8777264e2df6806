import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type NumberedLine,
  readUsage,
  usageLines,
} from '../../../topologies/billing/read-jsonl.ts';
import { parseUsageLine } from '../../../topologies/billing/usage-line.ts';

const fields = {
  eventId: '"e1"',
  customerId: '"c1"',
  meter: '"REQUESTS"',
  quantity: '5',
  at: '1700000000000',
};

/** A line with some fields as given text; `undefined` leaves a field out. */
function line(changes: Readonly<Record<string, string | undefined>> = {}): string {
  const all = Object.entries({ ...fields, ...changes }).filter(([, text]) => text !== undefined);
  return `{${all.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(',')}}`;
}

function reason(changes: Readonly<Record<string, string | undefined>>): string {
  const parsed = parseUsageLine(line(changes));
  return 'reason' in parsed ? parsed.reason : `accepted ${String(parsed.usage.quantity)}`;
}

function at(text: string): bigint | string {
  const parsed = parseUsageLine(line({ at: text }));
  return 'reason' in parsed ? parsed.reason : parsed.usage.at;
}

function quantity(text: string): bigint | string {
  const parsed = parseUsageLine(line({ quantity: text }));
  return 'reason' in parsed ? parsed.reason : parsed.usage.quantity;
}

describe('parseUsageLine', () => {
  it('takes a whole event', () => {
    expect(parseUsageLine(line())).toEqual({
      usage: {
        eventId: 'e1',
        customerId: 'c1',
        meter: 'REQUESTS',
        quantity: 5n,
        at: 1_700_000_000_000n,
      },
    });
  });

  it('ignores unknown fields, nested ones too', () => {
    const extra = {
      more: '{"quantity":-1,"at":[{"at":-5}]}',
      list: '[1,{"meter":"NO"}]',
      z: 'null',
    };
    expect(parseUsageLine(line(extra))).toEqual(parseUsageLine(line()));
  });

  it('refuses what is not an object', () => {
    for (const text of ['[]', '1', '"x"', 'null', 'true']) {
      expect(parseUsageLine(text)).toEqual({ reason: 'not an object' });
    }
    for (const text of ['{', '{"a":1} x', "{'a':1}", 'NaN', '['.repeat(200_000)]) {
      expect(parseUsageLine(text)).toEqual({ reason: 'not JSON' });
    }
  });

  it('refuses a missing, null or empty field by its name', () => {
    for (const name of Object.keys(fields)) {
      expect(reason({ [name]: undefined })).toBe(`${name} is missing`);
      expect(reason({ [name]: 'null' })).toBe(`${name} is missing`);
      expect(reason({ [name]: '""' })).toBe(`${name} is empty`);
    }
  });

  it('refuses ids that are no text or have no UTF-8 form', () => {
    expect(reason({ eventId: '7' })).toBe('eventId is not a string');
    expect(reason({ customerId: '["c"]' })).toBe('customerId is not a string');
    expect(reason({ customerId: '"a\\ud800"' })).toContain('surrogate');
    expect(reason({ eventId: `"${'é'.repeat(40_000)}"` })).toContain('longer than');
    expect(reason({ customerId: '"\\ud83d\\ude00"' })).toBe('accepted 5');
  });

  it('refuses an unknown meter', () => {
    for (const meter of ['"requests"', '"toString"', '"EGRESS "', '"__proto__"']) {
      expect(reason({ meter })).toContain('is unknown');
    }
    expect(reason({ meter: '1' })).toBe('meter is not a string');
  });

  it('takes quantities from 0 to 2^53-2 and judges them by their digits', () => {
    expect(quantity('0')).toBe(0n);
    expect(quantity('-0')).toBe(0n);
    expect(quantity('9007199254740990')).toBe(9_007_199_254_740_990n);
    expect(quantity('9007199254740991')).toBe('quantity is above 2^53-2');
    expect(quantity('9223372036854775807')).toBe('quantity is above 2^53-2');
    expect(quantity('1e400')).toBe('quantity is above 2^53-2');
    expect(quantity('1e999999999999')).toBe('quantity is above 2^53-2');
    expect(quantity('9007199254740989.5')).toBe('quantity is fractional');
    expect(quantity('0.99999999999999999999')).toBe('quantity is fractional');
    expect(quantity('1e-1')).toBe('quantity is fractional');
    expect(quantity('1e-999999999999')).toBe('quantity is fractional');
    expect(quantity('-1')).toBe('quantity is negative');
    expect(quantity('5.0')).toBe(5n);
    expect(quantity('1.5e1')).toBe(15n);
    expect(quantity('50E-1')).toBe(5n);
    expect(quantity('0.0e5')).toBe(0n);
    for (const text of ['"5"', 'true', '{}', '[5]']) {
      expect(quantity(text)).toBe('quantity is not a number');
    }
  });

  it('counts the last of two fields of one name', () => {
    const twice = (first: string, second: string): unknown =>
      parseUsageLine(line().replace('"quantity":5', `"quantity":${first},"quantity":${second}`));
    expect(twice('1', '7')).toMatchObject({ usage: { quantity: 7n } });
    expect(twice('-1', '7')).toMatchObject({ usage: { quantity: 7n } });
    expect(twice('7', '"7"')).toEqual({ reason: 'quantity is not a number' });
    expect(twice('7', '{"a":8}')).toEqual({ reason: 'quantity is not a number' });
    expect(twice('7', '[8]')).toEqual({ reason: 'quantity is not a number' });
    expect(twice('[8]', '9')).toMatchObject({ usage: { quantity: 9n } });
  });

  it('reads names and strings with escapes and white space anywhere', () => {
    const text = ` { "quant\\u0069ty" : 8 , "eventId":"a\\"b:{" ,"customerId":"\\\\","meter":"EGRESS"\t,"at" : 0 }\r`;
    expect(parseUsageLine(text)).toEqual({
      usage: { eventId: 'a"b:{', customerId: '\\', meter: 'EGRESS', quantity: 8n, at: 0n },
    });
  });

  it('agrees with JSON.parse on every whole number', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.constantFrom('', '.0', 'e0', '.000E+00'), (n, end) => {
        const expected =
          n < 0 ? 'quantity is negative' : n > 2 ** 53 - 2 ? 'quantity is above 2^53-2' : BigInt(n);
        expect(quantity(`${n}${end}`)).toBe(expected);
      }),
    );
  });

  it('takes an instant as epoch milliseconds from 0', () => {
    expect(at('0')).toBe(0n);
    expect(at('1700000000000')).toBe(1_700_000_000_000n);
    expect(at('-1')).toBe('at is before 1970');
    expect(at('1.5')).toBe('at is fractional');
    expect(at('8640000000000000')).toBe(8_640_000_000_000_000n);
    expect(at('8640000000000001')).toContain('275760');
    expect(at('1e3')).toBe(1_000n);
    expect(at('true')).toContain('neither');
    expect(at('"1700000000000"')).toContain('neither');
  });

  it('takes an instant as ISO 8601 with a zone', () => {
    const instant = 1_704_164_645_000n;
    for (const text of [
      '2024-01-02T03:04:05Z',
      '2024-01-02T03:04:05.000Z',
      '2024-01-02T03:04:05,0z',
      '2024-01-02T04:04:05+01:00',
      '2024-01-02T04:04:05+0100',
      '2024-01-02T04:04:05+01',
      '2024-01-01T21:34:05-05:30',
      '2024-01-02t03:04:05-00:00',
      '2024-01-02T03:04:05.0000000Z',
    ]) {
      expect(at(`"${text}"`), text).toBe(instant);
    }
    expect(at('"2024-01-02T03:04:05.1Z"')).toBe(instant + 100n);
    expect(at('"2024-01-02T03:04:05.123000Z"')).toBe(instant + 123n);
    expect(at('"2024-01-02T03:04Z"')).toBe(instant - 5_000n);
    expect(at('"2024-01-01T24:00:00Z"')).toBe(1_704_153_600_000n);
    expect(at('"1970-01-01T00:00:00Z"')).toBe(0n);
    expect(at('"1970-01-01T00:30:00+00:30"')).toBe(0n);
  });

  it('refuses an instant without a zone, off the calendar or too fine', () => {
    expect(at('"2024-01-02T03:04:05"')).toBe('at has no zone');
    expect(at('"2024-01-02T03:04:05.123"')).toBe('at has no zone');
    expect(at('"2024-01-02T03:04:05.0001Z"')).toContain('fractional');
    expect(at('"2016-12-31T23:59:60Z"')).toContain('leap second');
    expect(at('"1970-01-01T00:00:00+00:01"')).toBe('at is before 1970');
    expect(at('"0099-01-01T00:00:00Z"')).toBe('at is before 1970');
    for (const text of ['2023-02-29', '2100-02-29', '2024-13-01', '2024-00-10', '2024-04-31']) {
      expect(at(`"${text}T00:00:00Z"`), text).toContain('calendar');
    }
    for (const text of ['24:00:01Z', '25:00:00Z', '00:60:00Z', '00:00:61Z', '24:00:00.001Z']) {
      expect(at(`"2024-01-02T${text}"`), text).toContain('calendar');
    }
    for (const text of ['+24:00', '-01:60']) {
      expect(at(`"2024-01-02T00:00:00${text}"`), text).toContain('zone');
    }
    for (const text of [
      '2024-01-02Z',
      'yesterday',
      '2024-01-02 03:04:05Z',
      ' ',
      '2024-01-02T03Z',
    ]) {
      expect(at(`"${text}"`), text).toContain('neither');
    }
  });

  it('agrees with Date on every millisecond', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 253_402_300_799_999 }),
        fc.integer({ min: -1_439, max: 1_439 }),
        (time, offset) => {
          const local = new Date(time + offset * 60_000).toISOString();
          fc.pre(!/^[+-]/.test(local));
          const two = (n: number): string => String(Math.floor(n)).padStart(2, '0');
          const size = Math.abs(offset);
          const zone = `${offset < 0 ? '-' : '+'}${two(size / 60)}:${two(size % 60)}`;
          expect(at(JSON.stringify(local.replace('Z', zone)))).toBe(BigInt(time));
        },
      ),
    );
  });
});

describe('usageLines', () => {
  async function read(...chunks: (string | Buffer)[]): Promise<NumberedLine[]> {
    const source = (async function* () {
      for (const chunk of chunks) yield Buffer.from(chunk as string);
    })();
    const lines: NumberedLine[] = [];
    for await (const each of usageLines(source)) lines.push(each);
    return lines;
  }
  const numbers = (lines: NumberedLine[]): string[] =>
    lines.map((each) => `${each.line} ${'usage' in each ? 'ok' : each.reason}`);

  it('counts blank lines and leaves them out', async () => {
    const text = `\n  \r\n${line()}\r\n\t\n${line()}`;
    expect(numbers(await read(text))).toEqual(['3 ok', '5 ok']);
  });

  it('reads nothing from an empty file or one byte order mark', async () => {
    expect(await read()).toEqual([]);
    expect(await read('')).toEqual([]);
    expect(await read('\ufeff')).toEqual([]);
    expect(await read('\n\n')).toEqual([]);
  });

  it('takes a byte order mark at the start of the file and nowhere else', async () => {
    const text = `\ufeff${line()}\n\ufeff${line()}\n`;
    expect(numbers(await read(text))).toEqual(['1 ok', '2 not JSON']);
  });

  it('goes on after a bad line', async () => {
    const text = Buffer.concat([
      Buffer.from(`${line()}\n`),
      Buffer.from([0x7b, 0xff, 0x0a]),
      Buffer.from(`nonsense\n${line({ quantity: '-1' })}\n${line()}\n`),
    ]);
    expect(numbers(await read(text))).toEqual([
      '1 ok',
      '2 not UTF-8',
      '3 not JSON',
      '4 quantity is negative',
      '5 ok',
    ]);
  });

  it('reads the same wherever the chunks are cut', async () => {
    const text = Buffer.from(
      `\ufeff${line({ customerId: '"zoë"' })}\r\n\n${line({ eventId: '"€"' })}\nx`,
    );
    const whole = await read(text);
    expect(numbers(whole)).toEqual(['1 ok', '3 ok', '4 not JSON']);
    for (let cut = 1; cut < text.length; cut += 1) {
      expect(await read(text.subarray(0, cut), text.subarray(cut))).toEqual(whole);
    }
  });

  it('refuses a huge line and reads the next one', async () => {
    const part = 'x'.repeat(1024 * 1024);
    const chunks = [`{"a":"`, ...Array(17).fill(part), `"}\n${line()}\n`];
    expect(numbers(await read(...chunks))).toEqual([
      `1 longer than ${16 * 1024 * 1024} bytes`,
      '2 ok',
    ]);
  });

  it('takes a long line with a large unknown field', async () => {
    const text = line({ note: JSON.stringify('\\"{'.repeat(500_000)) });
    expect(numbers(await read(text))).toEqual(['1 ok']);
  });

  it('reads a file and says when there is none', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'usage-'));
    try {
      const path = join(folder, 'usage.jsonl');
      writeFileSync(path, `${line()}\n`);
      const lines: NumberedLine[] = [];
      for await (const each of readUsage(path)) lines.push(each);
      expect(numbers(lines)).toEqual(['1 ok']);
      await expect(readUsage(join(folder, 'none')).next()).rejects.toThrow(/ENOENT/);
      await expect(readUsage(folder).next()).rejects.toThrow(/EISDIR/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
