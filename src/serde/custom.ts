import { refuseUnknown } from '../config/known-options.ts';
import { EscapementError, messageOf } from '../errors.ts';
import { isPromise, kindOf } from './kind-of.ts';
import type { Serde } from './serde.ts';

export interface SerdeOptions<T> {
  /** Shown in descriptions and errors, and part of what a topology is: rename it with its format. */
  readonly name: string;
  /** The bytes of a value; what it throws is a record error. Null values never come here. */
  readonly encode: (value: T) => Uint8Array;
  /** The value of bytes, which are its own to keep; what it throws is a record error. */
  readonly decode: (bytes: Buffer) => T;
}

/**
 * A serde from two functions, for a format of one's own. Both are called once per record, a value that
 * is large sometimes more than once, and neither may be asynchronous.
 *
 * Costs a copy of the bytes in each direction. What is measured to be too slow that way implements
 * `Serde` itself, which reads and writes in place. Throws `OPTION_INVALID` when a part is missing; the
 * serde throws `SERDE_FAILED`. Java: `Serdes.serdeFrom`.
 */
export function serde<T>(options: SerdeOptions<T>): Serde<T> {
  refuseUnknown('serde', options, { name: true, encode: true, decode: true });
  const { name, encode, decode } = checked(options);
  return {
    name,
    decode(buffer, start, end) {
      const value = attempt(name, 'decode', () => decode(Buffer.from(buffer.subarray(start, end))));
      if (isValue(value)) return value;
      throw failed(name, `decode returned ${kindOf(value)}, it must return a value`);
    },
    encode(value, buffer, at) {
      const bytes: unknown = attempt(name, 'encode', () => encode(value));
      if (!(bytes instanceof Uint8Array)) {
        const mend = typeof bytes === 'string' ? ': use Buffer.from(text)' : '';
        throw failed(name, `encode returned ${kindOf(bytes)}, it must return a Uint8Array${mend}`);
      }
      const room = buffer.length - at;
      if (bytes.length > room) return room - bytes.length;
      buffer.set(bytes, at);
      return at + bytes.length;
    },
  };
}

function attempt<R>(name: string, what: 'encode' | 'decode', run: () => R): R {
  try {
    return run();
  } catch (cause) {
    if (cause instanceof EscapementError) throw cause;
    const reason = messageOf(cause);
    throw new EscapementError('SERDE_FAILED', `${name}: ${what} threw: ${reason}`, { cause });
  }
}

/** A promise would be passed on as if it were the value, and null is Kafka's null. */
function isValue(value: unknown): boolean {
  return value !== null && value !== undefined && !isPromise(value);
}

function failed(name: string, what: string): EscapementError {
  return new EscapementError('SERDE_FAILED', `${name}: ${what}`);
}

function checked<T>(options: SerdeOptions<T>): SerdeOptions<T> {
  const { name, encode, decode } = options ?? {};
  const problems: string[] = [];
  if (typeof name !== 'string' || name === '') problems.push('name must be a text');
  if (typeof encode !== 'function') problems.push('encode must be a function');
  if (typeof decode !== 'function') problems.push('decode must be a function');
  if (problems.length === 0) return options;
  throw new EscapementError('OPTION_INVALID', `serde(): ${problems.join('; ')}.`);
}
