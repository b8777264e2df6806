/**
 * A stock operator seen twice with the same records: subscribed for each of them, as a topology does
 * it, and once for all. Where the two differ, it wants memory across records.
 *
 * What collects the items of one record (`toArray` behind a `mergeMap`) differs, too, and is right:
 * so an operator is judged only when no record of the test caused more than one item before it.
 */
import { concat, from, map, Observable, type Operator, timer } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { insteadOf, labelOf, natureOf, operatorsHere } from '../dsl/stock-operators.ts';
import type { AnyRec } from '../topology/node.ts';
import { Rec } from '../topology/record.ts';
import type { NotedSegment } from './call-notes.ts';
import { isSame } from './same-value.ts';

type Step = (source: Observable<unknown>) => Observable<unknown>;

interface Seen {
  readonly values: readonly unknown[];
  /** `open`: it waits for something outside of virtual time, a promise for example. */
  readonly end: 'complete' | 'error' | 'open';
}

/** So far apart that every time limit of a record has passed. */
const APART_MS = 60_000;

/** What the operators of a segment want, one text for each that wants memory. */
export function segmentFindings({ node, items }: NotedSegment): readonly string[] {
  const found: string[] = [];
  let lists: readonly (readonly unknown[])[] = items;
  const links = node.operators.flatMap(({ takes, operator }) =>
    linksOf(operator as Step).map((link) => ({ ...link, takes })),
  );
  for (const [at, { takes, step, names }] of links.entries()) {
    if (takes === 'values') lists = lists.map((list) => list.map(itsValue));
    const each = lists.map((list) => run(step, list));
    // Streams of streams are over when they are looked at later: from here on it is one operator.
    const isInner = each.some(({ values }) => values.some((value) => value instanceof Observable));
    const rest = links.slice(at).filter((other) => other.takes === takes);
    const seen = isInner ? joined(rest) : { step, names };
    const what = finding(seen, lists, isInner ? lists.map((list) => run(seen.step, list)) : each);
    if (what !== null) found.push(`${node.id}: ${what}`);
    if (isInner || each.some(({ end }) => end !== 'complete')) break;
    lists = each.map(({ values }) => values);
    // Behind `values` there are records again, whose values these are; none is looked at further.
    if (takes === 'values' && links[at + 1]?.takes === 'records') break;
  }
  return found;
}

function joined(links: readonly Link[]): Link {
  return {
    step: (source) => links.reduce((above, { step }) => step(above), source),
    names: links.flatMap(({ names }) => names),
  };
}

function finding(
  { step, names }: Link,
  lists: readonly (readonly unknown[])[],
  each: readonly Seen[],
): string | null {
  const all = lists.flat();
  const isWithinRecord = lists.some((list) => list.length > 1);
  if (all.length < 2 || isWithinRecord || each.some(({ end }) => end !== 'complete')) return null;
  const durable = insteadOf(names, 'memory');
  const kinds = names.map((name) => natureOf(name)!.kind);
  if (kinds.includes('streams') || (durable === null && kinds.includes('record'))) return null;
  const separate = { values: each.flatMap(({ values }) => values), end: 'complete' } as const;
  const differs =
    isOther(separate, run(step, all)) ||
    (durable !== null && isOther(separate, run(step, all, 'apart')));
  if (!differs) return null;
  return `${durable ?? unnamed(names)}. ${WHY}`;
}

const WHY =
  'A stock operator is subscribed anew for each record and remembers nothing of the one before. (If it ' +
  "is meant within a record, let one record of the test cause several there, or use shadow: 'off'.)";

function unnamed([name]: readonly string[]): string {
  return name === undefined
    ? 'an operator written by hand remembers: use aggregate() or count()'
    : `what is given to ${labelOf(name)} keeps something in a variable or counts by its index: use ` +
        'aggregate() or count(), with filter() behind it';
}

function isOther(separate: Seen, together: Seen): boolean {
  if (together.end === 'open') return false;
  return separate.end !== together.end || !isSame(plain(separate.values), plain(together.values));
}

/** In virtual time. Not within another `TestScheduler.run`. */
function run(step: Step, items: readonly unknown[], pace: 'at once' | 'apart' = 'at once'): Seen {
  const at = (item: unknown) => timer(APART_MS).pipe(map(() => item));
  const source = pace === 'at once' ? from(items) : concat(...items.map(at));
  const values: unknown[] = [];
  let end: Seen['end'] = 'open';
  let stop = (): void => {};
  const scheduler = new TestScheduler(() => {});
  scheduler.run(() => {
    scheduler.maxFrames = APART_MS * (items.length + 1);
    try {
      const subscription = step(source).subscribe({
        next: (value) => void values.push(value),
        error: () => {
          end = 'error';
        },
        complete: () => {
          end = 'complete';
        },
      });
      stop = () => subscription.unsubscribe();
    } catch {
      end = 'error';
    }
  });
  stop();
  return { values, end };
}

/** A stock operator, or what one is made of. */
interface Link {
  readonly step: Step;
  /** What it may be called, outermost first. */
  readonly names: readonly string[];
}

/** Tells on whose behalf it is lifted and subscribed. */
class Probe extends Observable<unknown> {
  readonly names: Set<string>;
  /** What it was lifted by while an operator was applied to it, one after the other. */
  readonly lifts: { readonly operator: Operator<unknown, unknown>; readonly names: string[] }[];
  /** Whether each was lifted from the one before. */
  readonly row: { isWhole: boolean };
  readonly #at: number;

  constructor(above?: Probe) {
    super((subscriber) => subscriber.complete());
    this.names = above?.names ?? new Set();
    this.lifts = above?.lifts ?? [];
    this.row = above?.row ?? { isWhole: true };
    this.#at = this.lifts.length;
  }

  /** Nothing else was made of what is above it. */
  get isLast(): boolean {
    return this.#at === this.lifts.length;
  }

  override lift<R>(operator?: Operator<unknown, R>): Observable<R> {
    const names = operatorsHere();
    for (const name of names) this.names.add(name);
    if (!this.isLast) this.row.isWhole = false;
    this.lifts.push({ operator: operator!, names: [...names] });
    const below = new Probe(this);
    below.operator = operator as never;
    below.source = this;
    return below as unknown as Observable<R>;
  }

  override subscribe(...observer: readonly unknown[]): never {
    for (const name of operatorsHere()) this.names.add(name);
    return super.subscribe(...(observer as [])) as never;
  }
}

/** The operators that an operator is made of, where they stand in a row; else it alone. */
function linksOf(step: Step): readonly Link[] {
  const probe = new Probe();
  let result: unknown = null;
  try {
    result = step(probe);
  } catch {
    // It says so when it is run.
  }
  const lifts = [...probe.lifts];
  const isRow = result instanceof Probe && result !== probe && result.isLast && result.row.isWhole;
  if (!isRow) return [{ step, names: namesOf(step) }];
  return lifts.map(({ operator, names }) => {
    const own: Step = (source) => source.lift(operator);
    return { step: own, names: [...new Set([...names, ...namesOf(own)])] };
  });
}

function namesOf(step: Step): readonly string[] {
  const probe = new Probe();
  let result: unknown = null;
  try {
    const stream = step(probe);
    result = stream;
    stream.subscribe({ error: () => {} }).unsubscribe();
  } catch {
    // What it was until then is all that can be said.
  }
  // What only puts a stream beside the source (endWith) is gone when that is subscribed.
  const isBeside = !(result instanceof Probe) && probe.names.has('mergeMap');
  return isBeside ? ['concat'] : [...probe.names];
}

function itsValue(item: unknown): unknown {
  return item instanceof Rec ? (item as AnyRec).value : item;
}

/** Comparable by content. */
function plain(value: unknown): unknown {
  if (value instanceof Rec) {
    const { key, timestamp } = value as AnyRec;
    return { key, timestamp, value: (value as AnyRec).value };
  }
  if (value instanceof Observable) return 'an Observable';
  return Array.isArray(value) ? value.map(plain) : value;
}
