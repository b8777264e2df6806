/**
 * Options that are not known are refused wherever options are taken: a name with a slip in it would
 * otherwise leave the default in force, and nobody would hear of it.
 *
 * Called once for each call of a public function, never for a record.
 */
import { EscapementError } from '../errors.ts';

/** The names of the options `T`: the compiler keeps it complete. */
export type Known<T> = Readonly<Record<keyof T & string, true>>;

type Names = Readonly<Record<string, unknown>>;

/**
 * What is wrong with the names in `given`. `elsewhere` says of names that people expect what to write
 * instead. Nothing given is no problem of names.
 */
export function unknownOptions(given: object, known: Names, elsewhere: Names = {}): string[] {
  return Object.keys(given)
    .filter((name) => !Object.hasOwn(known, name))
    .map((name) => `${name} is not an option${hint(name, Object.keys(known), elsewhere)}`);
}

/**
 * Throws `OPTION_INVALID` for what is not an object, and for names that are not `known`, all of them
 * at once; `where` is what the options are given to. `undefined` passes: what it lacks is told by who
 * needs it.
 */
export function refuseUnknown(
  where: string,
  given: unknown,
  known: Names,
  elsewhere?: Names,
): void {
  if (given === undefined) return;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    const names = Object.keys(known).join(', ');
    refuse(where, `its options are an object ({ ${names} }), not ${shownKind(given)}`);
  }
  const problems = unknownOptions(given, known, elsewhere);
  if (problems.length > 0) refuse(where, problems.join('; '));
}

/** Throws `OPTION_INVALID` when options lack what nothing can be done without. */
export function refuseMissing(where: string, given: unknown, needed: readonly string[]): void {
  const has = (given ?? {}) as Names;
  const missing = needed.filter((name) => has[name] === undefined || has[name] === null);
  if (missing.length > 0) refuse(where, `it needs ${missing.join(', ')}`);
}

/** Throws `OPTION_INVALID` when a choice is given that there is not. */
export function refuseOther(where: string, name: string, given: unknown, ...all: string[]): void {
  if (given === undefined || all.includes(given as string)) return;
  refuse(where, `${name} must be ${listed(all)}, not ${shown(given)}`);
}

/** `'a', 'b' or 'c'` */
export function listed(all: readonly string[]): string {
  const quoted = all.map((each) => `'${each}'`);
  return `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`;
}

/**
 * A value that was given for an option, as a message shows it; never what is in an object. Not for
 * options that may hold a secret.
 */
export function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : shownKind(value);
}

/** The same without what a text says: in place of an object it may be a password, or hold one. */
export function shownKind(value: unknown): string {
  if (typeof value === 'string') return 'a text';
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

function refuse(where: string, problem: string): never {
  throw new EscapementError('OPTION_INVALID', `${where}: ${problem}.`);
}

function hint(name: string, known: readonly string[], elsewhere: Names): string {
  if (Object.hasOwn(elsewhere, name)) return `: ${String(elsewhere[name])}`;
  const near = nearest(name, known);
  if (known.length === 0) return ': there are none';
  return near === null ? ` (known: ${known.join(', ')})` : `: did you mean ${near}?`;
}

/** The known name with the fewest slips, if these are few for its length; `a.b-c` is `abc`. */
function nearest(name: string, known: readonly string[]): string | null {
  const plain = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]/g, '');
  let best: string | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const each of known) {
    const slips = distance(plain(name), plain(each));
    if (slips < least && slips <= Math.max(1, each.length / 3)) {
      best = each;
      least = slips;
    }
  }
  return best;
}

/** Letters to add, leave out, exchange, or swap with their neighbour (optimal string alignment). */
function distance(one: string, other: string): number {
  const rows = [Array.from({ length: other.length + 1 }, (_, at) => at)];
  for (let row = 1; row <= one.length; row++) {
    const above = rows[row - 1]!;
    const here = [row];
    for (let at = 1; at <= other.length; at++) {
      const same = one[row - 1] === other[at - 1] ? 0 : 1;
      let slips = Math.min(above[at]! + 1, here[at - 1]! + 1, above[at - 1]! + same);
      const swapped = one[row - 1] === other[at - 2] && one[row - 2] === other[at - 1];
      if (swapped)
        slips = Math.min(slips, (rows[row - 2]?.[at - 2] ?? Number.POSITIVE_INFINITY) + 1);
      here.push(slips);
    }
    rows.push(here);
  }
  return rows[one.length]![other.length]!;
}
