/** Reads `--input`: a file of JSON lines, in pieces, so that its size does not matter. */
import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { parseUsageLine, type UsageLine } from './usage-line.ts';

export type NumberedLine = UsageLine & {
  /** From 1, blank lines counted. */
  readonly line: number;
};

/** A longer line is refused without being read as a whole. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;

const NEWLINE = 0x0a;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** The lines of a file; blank ones are left out. Throws when the file cannot be read. */
export async function* readUsage(path: string): AsyncGenerator<NumberedLine> {
  yield* usageLines(createReadStream(path, { highWaterMark: 256 * 1024 }));
}

/** As `readUsage`, over bytes from anywhere. */
export async function* usageLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<NumberedLine> {
  let line = 0;
  for await (const bytes of splitLines(chunks)) {
    line += 1;
    const parsed = parseBytes(bytes === null || line > 1 ? bytes : withoutMark(bytes));
    if (parsed !== null) yield { line, ...parsed };
  }
}

/** `null` for a blank line. */
function parseBytes(bytes: Buffer | null): UsageLine | null {
  if (bytes === null) return { reason: `longer than ${LINE_BYTES_MAX} bytes` };
  if (!isUtf8(bytes)) return { reason: 'not UTF-8' };
  const text = bytes.toString('utf8');
  return text.trim() === '' ? null : parseUsageLine(text);
}

function withoutMark(bytes: Buffer): Buffer {
  return bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? bytes.subarray(3) : bytes;
}

/** Lines without their newline; `null` for one beyond the limit. A carriage return is white space. */
async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer | null> {
  let parts: Buffer[] = [];
  let length = 0;
  const take = (): Buffer | null => {
    const line = length > LINE_BYTES_MAX ? null : Buffer.concat(parts);
    parts = [];
    length = 0;
    return line;
  };
  const keep = (part: Buffer): void => {
    length += part.length;
    if (length <= LINE_BYTES_MAX) parts.push(part);
    else parts = [];
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      keep(chunk.subarray(start, end));
      yield take();
      start = end + 1;
    }
    keep(chunk.subarray(start));
  }
  if (length > 0) yield take();
}
