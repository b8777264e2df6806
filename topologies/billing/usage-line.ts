/**
 * One line of `--input` as a usage event, or the reason why it is none.
 *
 * Numbers are judged by their text: `JSON.parse` would round `0.99999999999999999999` to 1 and a
 * fraction above 2^52 to a whole number before anybody could refuse it.
 *
 * Decided here: an instant with a leap second (`:60`) is refused, epoch milliseconds have none; of a
 * field that appears twice the last one counts, as for every JSON parser.
 */
import { METERS, type Meter, type Usage } from './usage.ts';

export type UsageLine = { readonly usage: Usage } | { readonly reason: string };

/** The largest quantity: beyond it avsc's `long` and other JavaScript readers are not exact. */
const QUANTITY_MAX = 2n ** 53n - 2n;
/** The last millisecond that a JavaScript date can hold, in the year 275760. */
const AT_MAX = 8_640_000_000_000_000n;
/** Ids become keys and are written several times: this keeps every record far below 1 MB. */
const ID_BYTES_MAX = 65_536;

class Refusal extends Error {}

export function parseUsageLine(text: string): UsageLine {
  try {
    return { usage: usageOf(fieldsOf(text)) };
  } catch (error) {
    if (error instanceof Refusal) return { reason: error.message };
    throw error;
  }
}

function refuse(reason: string): never {
  throw new Refusal(reason);
}

function usageOf(fields: ReadonlyMap<string, unknown>): Usage {
  return {
    eventId: idOf(fields, 'eventId'),
    customerId: idOf(fields, 'customerId'),
    meter: meterOf(fields),
    quantity: quantityOf(fields),
    at: instantOf(fields),
  };
}

/** A number as it is written. */
class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

function fieldsOf(text: string): ReadonlyMap<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    refuse('not JSON');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    refuse('not an object');
  }
  const fields = new Map<string, unknown>(Object.entries(parsed));
  for (const [name, number] of numbersOf(text)) fields.set(name, new NumberText(number));
  return fields;
}

/** Texts of the numbers among the fields of valid JSON's outermost object. */
function numbersOf(text: string): Map<string, string> {
  const numbers = new Map<string, string>();
  let depth = 0;
  let name = '';
  let isValue = false;
  let at = 0;
  while (at < text.length) {
    const end = tokenEnd(text, at);
    const first = text[at]!;
    if (depth === 1 && isValue && !SPACE.includes(first)) {
      // Of a name that appears twice the last value counts, a number or not.
      if ('-0123456789'.includes(first)) numbers.set(name, text.slice(at, end));
      else numbers.delete(name);
      isValue = false;
    } else if (depth === 1 && first === '"') {
      name = JSON.parse(text.slice(at, end)) as string;
    }
    if (depth === 1 && first === ':') isValue = true;
    if (first === '{' || first === '[') depth += 1;
    if (first === '}' || first === ']') depth -= 1;
    at = end;
  }
  return numbers;
}

const SPACE = ' \t\r\n';
const ALONE = `{}[],:${SPACE}`;

/** The end of the token of valid JSON that starts at `at`. */
function tokenEnd(text: string, at: number): number {
  const first = text[at]!;
  let end = at + 1;
  if (ALONE.includes(first)) return end;
  if (first === '"') {
    while (text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
    return end + 1;
  }
  while (end < text.length && !ALONE.includes(text[end]!) && text[end] !== '"') end += 1;
  return end;
}

function present(fields: ReadonlyMap<string, unknown>, name: string): unknown {
  const value = fields.get(name);
  if (value === undefined || value === null) refuse(`${name} is missing`);
  if (value === '') refuse(`${name} is empty`);
  return value;
}

function idOf(fields: ReadonlyMap<string, unknown>, name: string): string {
  const value = present(fields, name);
  if (typeof value !== 'string') refuse(`${name} is not a string`);
  // No UTF-8 stands for half of a surrogate pair, so it cannot become a key.
  if (/\p{Surrogate}/u.test(value)) refuse(`${name} holds half of a surrogate pair`);
  if (Buffer.byteLength(value) > ID_BYTES_MAX) {
    refuse(`${name} is longer than ${ID_BYTES_MAX} bytes`);
  }
  return value;
}

function meterOf(fields: ReadonlyMap<string, unknown>): Meter {
  const value = present(fields, 'meter');
  const meter = METERS.find((each) => each === value);
  if (meter !== undefined) return meter;
  if (typeof value !== 'string') refuse('meter is not a string');
  refuse(`meter ${JSON.stringify(value.slice(0, 40))} is unknown`);
}

function quantityOf(fields: ReadonlyMap<string, unknown>): bigint {
  const value = present(fields, 'quantity');
  if (!(value instanceof NumberText)) refuse('quantity is not a number');
  const quantity = wholeNumber(value.text, 'quantity');
  if (quantity < 0n) refuse('quantity is negative');
  if (quantity > QUANTITY_MAX) refuse('quantity is above 2^53-2');
  return quantity;
}

function instantOf(fields: ReadonlyMap<string, unknown>): bigint {
  const value = present(fields, 'at');
  if (typeof value !== 'string' && !(value instanceof NumberText)) {
    refuse('at is neither epoch milliseconds nor ISO 8601 with a zone');
  }
  const at = typeof value === 'string' ? isoInstant(value) : wholeNumber(value.text, 'at');
  if (at < 0n) refuse('at is before 1970');
  if (at > AT_MAX) refuse('at is after the year 275760');
  return at;
}

/** The exact value of a JSON number; numbers of more than 30 digits are cut, they are too large. */
function wholeNumber(text: string, name: string): bigint {
  const [, sign, whole, fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? refuse(`${name} is not a number`);
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  if (digits === '') return 0n;
  const trailing = /0*$/.exec(digits)![0].length;
  const significant = digits.slice(0, digits.length - trailing);
  // value = significant * 10 ** scale
  const scale = Number(exponent) - fraction.length + trailing;
  if (scale < 0)
    refuse(sign === '-' ? `${name} is negative and fractional` : `${name} is fractional`);
  const magnitude =
    significant.length + scale > 30 ? 10n ** 30n : BigInt(significant) * 10n ** BigInt(scale);
  return sign === '-' ? -magnitude : magnitude;
}

const ISO =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?([Zz]|[+-]\d\d(?::?\d\d)?)?$/;

/** ISO 8601 calendar date and time of day with `Z` or an offset, in whole milliseconds. */
function isoInstant(text: string): bigint {
  const match = ISO.exec(text);
  if (match === null) refuse('at is neither epoch milliseconds nor ISO 8601 with a zone');
  const [, year, month, day, hour, minute, second = '0', fraction = '', zone] = match;
  if (zone === undefined) refuse('at has no zone');
  if (second === '60') refuse('at is a leap second, which epoch milliseconds cannot express');
  const days = daysSinceEpoch(Number(year), Number(month), Number(day));
  const time = [Number(hour), Number(minute), Number(second)] as const;
  const isEndOfDay = time[0] === 24 && time[1] === 0 && time[2] === 0 && !/[1-9]/.test(fraction);
  if (days === null || (time[0] > 23 && !isEndOfDay) || time[1] > 59 || time[2] > 59) {
    refuse('at is no date and time of the calendar');
  }
  if (/[1-9]/.test(fraction.slice(3))) refuse('at is fractional: finer than a millisecond');
  const seconds = ((days * 24 + time[0]) * 60 + time[1]) * 60 + time[2] - offsetSeconds(zone);
  return BigInt(seconds) * 1_000n + BigInt(fraction.slice(0, 3).padEnd(3, '0'));
}

function offsetSeconds(zone: string): number {
  if (zone === 'Z' || zone === 'z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(':', ''));
  if (hours > 23 || minutes > 59) refuse(`at has the zone ${zone}, which does not exist`);
  return (zone[0] === '-' ? -1 : 1) * (hours * 60 + minutes) * 60;
}

/** Days from 1970-01-01 in the Gregorian calendar, or `null` for a day that does not exist. */
function daysSinceEpoch(year: number, month: number, day: number): number | null {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const lengths = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  const length = lengths[month - 1];
  if (length === undefined || day < 1 || day > length) return null;
  const before = year - 1;
  const leapDays = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400);
  const ofYear = lengths.slice(0, month - 1).reduce((sum, days) => sum + days, 0) + day - 1;
  return before * 365 + leapDays + ofYear - 719_162;
}
