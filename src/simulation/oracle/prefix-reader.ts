/**
 * A reader that comes back while the application runs: what it has seen, and was not deleted since,
 * may only grow.
 */
import type { CommittedRecord, PartitionView } from './committed-log.ts';
import { placeOf, type Violation } from './evidence.ts';

export class PrefixReader {
  readonly #seen = new Map<string, CommittedRecord[]>();
  readonly violations: Violation[] = [];

  /** `stableEnd`: what a reader of committed records may see now is below it. */
  read(view: PartitionView, stableEnd: number): void {
    const place = placeOf(view);
    const visible = ({ offset }: CommittedRecord): boolean =>
      offset >= view.startOffset && offset < stableEnd;
    const now = view.committed.filter(visible);
    const before = (this.#seen.get(place) ?? []).filter(({ offset }) => offset >= view.startOffset);
    for (const [at, record] of before.entries()) {
      if (shown(record) === shown(now[at])) continue;
      const what = `${place}: a reader saw ${shown(record)}, then ${shown(now[at])}`;
      this.violations.push({ check: 'reader', what });
      break;
    }
    this.#seen.set(place, now);
  }
}

function shown(record: CommittedRecord | undefined): string {
  if (record === undefined) return 'nothing';
  const { offset, key, value } = record;
  return `${key?.toString('hex')}=${value?.toString('hex')} at ${offset}`;
}
