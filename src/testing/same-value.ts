/** Whether two values are the same to those who read them. */
import { isDeepStrictEqual } from 'node:util';

/**
 * By content: classes do not count (a serde makes plain objects), nor do properties that are
 * undefined. NaN is NaN, -0 is not 0, and a `Date` is no string.
 */
export function isSame(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one === 'function' && typeof other === 'function') return true;
  if (!isObject(one) || !isObject(other)) return false;
  if (one instanceof Uint8Array || other instanceof Uint8Array) {
    return one instanceof Uint8Array && other instanceof Uint8Array && equalBytes(one, other);
  }
  if (Array.isArray(one) || Array.isArray(other)) {
    if (!Array.isArray(one) || !Array.isArray(other) || one.length !== other.length) return false;
    return one.every((item, at) => isSame(item, other[at]));
  }
  if (isExotic(one) || isExotic(other)) return isDeepStrictEqual(one, other);
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...keys].every((key) => isSame(own(one, key), own(other, key)));
}

type Properties = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Properties {
  return typeof value === 'object' && value !== null;
}

function own(value: Properties, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

function equalBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/** Its content is not in its properties. */
function isExotic(value: object): boolean {
  return ['Date', 'Map', 'Set', 'RegExp', 'Error', 'Promise', 'ArrayBuffer'].includes(
    Object.prototype.toString.call(value).slice('[object '.length, -1),
  );
}
