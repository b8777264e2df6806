/**
 * Rows of stores, as processes showed them to readers of committed state, against the changelogs.
 *
 * A changelog partition has one writer, so its committed transactions follow one another: what a
 * reader is given must be the changelog up to the end of one of them, and of none that had not been
 * committed at that moment. A process that is behind, or was paused, may show an older state; one at
 * rest must show the last.
 */
import { type Evidence, placeOf, type StoreRows } from './evidence.ts';

export function wrongStores(evidence: Evidence): string[] {
  const pasts = new Map<string, readonly Past[]>();
  return evidence.stores.flatMap((store) => {
    const place = placeOf({ topic: store.changelog, partition: store.partition });
    if (!pasts.has(place)) pasts.set(place, pastsOf(evidence, store));
    const known = pasts.get(place)!.filter(({ atMs }) => atMs <= store.atMs);
    const allowed = store.moment === 'rest' ? known.slice(-1) : known;
    if (allowed.some(({ rows }) => isShown(store, rows))) return [];
    const latest = known.at(-1)!.rows;
    return [
      `${store.process} shows ${place} as ${shown(store.rows)} at ${store.atMs.toFixed(1)} ms, ` +
        `where the changelog says ${shown(latest)}`,
    ];
  });
}

/** The state of a changelog partition, and when it was committed. */
interface Past {
  readonly atMs: number;
  readonly rows: ReadonlyMap<string, string>;
}

function pastsOf({ topic, transactionOf, steps }: Evidence, store: StoreRows): Past[] {
  const committedAt = new Map(steps.map(({ transaction, endedAtMs }) => [transaction, endedAtMs]));
  const rows = new Map<string, string>();
  const pasts: Past[] = [{ atMs: 0, rows: new Map() }];
  let before: string | null = null;
  for (const record of topic(store.changelog)[store.partition]?.committed ?? []) {
    const transaction = transactionOf(record);
    const key = record.key!.toString('hex');
    if (record.value === null) rows.delete(key);
    else rows.set(key, record.value.toString('hex'));
    if (transaction === before && transaction !== null) pasts.pop();
    before = transaction;
    const atMs = transaction === null ? 0 : (committedAt.get(transaction) ?? Infinity);
    pasts.push({ atMs, rows: new Map(rows) });
  }
  return pasts;
}

/** A window store may have dropped rows that are over. */
function isShown({ kind, rows }: StoreRows, past: Past['rows']): boolean {
  if (kind === 'key-value' && rows.size !== past.size) return false;
  return [...rows].every(([key, value]) => past.get(key) === value);
}

function shown(rows: ReadonlyMap<string, string>): string {
  return `{${[...rows].map(([key, value]) => `${key}=${value}`).join(' ')}}`;
}
