/**
 * The operators of RxJS 7, and what takes the place of those that want memory across records.
 *
 * A stock operator is subscribed for each record anew, so what it remembers ends with the record.
 * Called with what the shadow run of a test or the drawing of a topology has found; the names come
 * from stacks, as an operator is a function that does not know its name.
 */

/**
 * `same`: makes of each record what it makes of it among others. `record`: is about one record and
 * useful so (its errors, its end). `memory`: wants to remember records, and what takes its place then.
 * `streams`: joins what is beside it, which is useful with constants; streams of a topology cannot be
 * joined so, and what takes its place for them.
 */
type Nature =
  | { readonly kind: 'same' | 'record' }
  | { readonly kind: 'memory' | 'streams'; readonly instead: string };

const SAME: Nature = { kind: 'same' };
const RECORD: Nature = { kind: 'record' };
const instead = (text: string): Nature => ({ kind: 'memory', instead: text });

const AGGREGATE = instead('aggregate()');
const LAST_SEEN = instead('aggregate() that keeps what came before, with filter() behind it');
const FIRST_SEEN = instead('count() by the key, with filter() for a count of 1 behind it');
const PLACE = instead('count() or aggregate(), with filter() on the number behind it');
const CHUNKS = instead('aggregate() that collects, with filter() for the full ones behind it');
const TIME = instead("windowedAggregate(), with emit: 'final' for one result of each window");
const LATEST = instead('aggregate() that keeps the latest, or windowedAggregate()');
const GROUPS = instead('selectKey() and repartition(), with aggregate() behind them');
const STREAMS: Nature = {
  kind: 'streams',
  instead: 'merge() of the framework, with aggregate() that keeps both sides behind it',
};
const UNTIL = instead('aggregate() that keeps whether it was seen, with filter() behind it');

const STOCK: Readonly<Record<string, Nature>> = {
  // Made of each value alone.
  ...natures(SAME, 'map mapTo pluck filter tap ignoreElements dematerialize throwIfEmpty'),
  ...natures(SAME, 'mergeMap flatMap concatMap concatMapTo mergeMapTo mergeAll concatAll expand'),
  ...natures(SAME, 'delay delayWhen observeOn subscribeOn timeout timeoutWith finalize'),
  ...natures(SAME, 'timestamp partition share shareReplay connect multicast refCount'),
  ...natures(SAME, 'publish publishBehavior publishLast publishReplay'),
  // Of one record: its errors, its end, what is beside it.
  ...natures(RECORD, 'retry retryWhen catchError onErrorResumeNext repeat repeatWhen'),
  ...natures(RECORD, 'defaultIfEmpty endWith materialize concatWith concat'),
  // Memory.
  ...natures(AGGREGATE, 'scan reduce mergeScan switchScan toArray'),
  ...natures(instead('count()'), 'count'),
  ...natures(AGGREGATE, 'max min every find findIndex isEmpty sequenceEqual timeInterval'),
  ...natures(LAST_SEEN, 'distinctUntilChanged distinctUntilKeyChanged pairwise'),
  ...natures(FIRST_SEEN, 'distinct'),
  ...natures(PLACE, 'take takeWhile takeLast skip skipLast skipWhile first last elementAt single'),
  ...natures(PLACE, 'startWith'),
  ...natures(UNTIL, 'takeUntil skipUntil'),
  ...natures(CHUNKS, 'buffer bufferCount window windowCount'),
  ...natures(TIME, 'bufferTime bufferToggle bufferWhen windowTime windowToggle windowWhen'),
  ...natures(TIME, 'audit auditTime debounce debounceTime sample sampleTime throttle throttleTime'),
  ...natures(LATEST, 'switchMap switchMapTo switchAll exhaust exhaustAll exhaustMap'),
  ...natures(GROUPS, 'groupBy'),
  ...natures(STREAMS, 'combineLatest combineLatestWith combineLatestAll combineAll withLatestFrom'),
  ...natures(STREAMS, 'zip zipWith zipAll merge mergeWith race raceWith forkJoin'),
};

function natures(nature: Nature, names: string): Readonly<Record<string, Nature>> {
  return Object.fromEntries(names.split(' ').map((name) => [name, nature]));
}

/** Files of RxJS that stand for several operators. */
const FILES: Readonly<Record<string, string>> = {
  scanInternals: 'scan',
};
const LABELS: Readonly<Record<string, string>> = {
  scan: 'scan(), reduce(), count(), min() or max()',
  distinctUntilChanged: 'distinctUntilChanged() or distinctUntilKeyChanged()',
  find: 'find() or findIndex()',
  toArray: 'toArray(), combineLatestAll() or zipAll()',
  filter: 'filter() or skip()',
  mergeMap: 'mergeMap() or concatMap()',
  audit: 'audit() or auditTime()',
  sample: 'sample() or sampleTime()',
  throttle: 'throttle() or throttleTime()',
};

export function labelOf(operator: string): string {
  return `${Object.hasOwn(LABELS, operator) ? LABELS[operator]! : `${operator}()`} of RxJS`;
}

export function natureOf(operator: string): Nature | null {
  return Object.hasOwn(STOCK, operator) ? STOCK[operator]! : null;
}

/**
 * The stock operators that have called, outermost first: frames carry the files of RxJS, one for
 * each operator. Empty in a bundle and for operators written by hand.
 */
export function operatorsHere(): readonly string[] {
  // Operators that are made of others stand deep.
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = 40;
  const { stack = '' } = new Error();
  Error.stackTraceLimit = before;
  const files = [...stack.matchAll(FRAME)].map(([, file]) => FILES[file!] ?? file!);
  return [...new Set(files.reverse())].filter((name) => natureOf(name) !== null);
}

const FRAME =
  /[\\/]rxjs[\\/](?:dist[\\/]\w+|src)[\\/]internal[\\/](?:operators|observable)[\\/](\w+)\.[jt]s/g;

/** What takes the place of the first of them that is of the kind, as a sentence; else null. */
export function insteadOf(operators: readonly string[], kind: 'memory' | 'streams'): string | null {
  for (const name of operators) {
    const nature = natureOf(name);
    if (nature?.kind === kind) return `${labelOf(name)}: use ${nature.instead}`;
  }
  return null;
}
