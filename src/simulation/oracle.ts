/**
 * The verdict on a run, from the bytes in the broker.
 *
 * What holds for every application is here; what an application should have computed says its
 * workload's model.
 *
 * I1. Nothing is left open: every transaction of every topic has its marker.
 * I2. A record that follows from an input record is of the transaction that moved the group's offset
 *     past that input record.
 * I3. The group's offset is past the last input record, and not past the log's end.
 * I4. Only the process that was last given a transactional id ends a transaction of it.
 * I5. What a reader of committed records has seen stays as it was, and more only comes behind it.
 */
import type { CommittedRecord, PartitionView } from './committed-log.ts';
import type { TransactionTrace } from './transaction-trace.ts';
import type { Outcome, Workload } from './workload.ts';

export interface Evidence extends Outcome {
  readonly workload: Workload;
  readonly trace: TransactionTrace;
  /** Every topic of the broker. */
  readonly topics: readonly string[];
  /** Of the application's group; -1: none. */
  committedOffset(topic: string, partition: number): number;
  /** Topics that the application reads. */
  readonly inputs: readonly string[];
}

/** Of each kind, the first ones: what follows from a violation is seldom of interest. */
const SHOWN_MOST = 3;

export function judge(evidence: Evidence): readonly string[] {
  const checks = [
    () => evidence.trace.violations,
    () => openTransactions(evidence),
    () => tornTransactions(evidence),
    () => wrongOffsets(evidence),
    () => evidence.workload.check(evidence),
  ];
  return checks.flatMap((check) => violationsOf(check).slice(0, SHOWN_MOST));
}

/** What a check cannot even read is wrong, too. */
function violationsOf(check: () => readonly string[]): readonly string[] {
  try {
    return check();
  } catch (cause) {
    return [`cannot be judged: ${cause instanceof Error ? cause.message : String(cause)}`];
  }
}

function openTransactions({ topics, topic }: Evidence): string[] {
  return topics
    .flatMap((name) => topic(name))
    .filter(({ open }) => open > 0)
    .map((view) => `${placeOf(view)}: ${view.open} records of transactions that nothing ended`);
}

function tornTransactions({ topics, topic, workload, trace }: Evidence): string[] {
  const violations: string[] = [];
  for (const record of topics.flatMap((name) => topic(name)).flatMap((view) => view.committed)) {
    const source = workload.source(record);
    if (source === null) continue;
    const wrote = trace.transactionOf(record);
    const passed = trace.transactionPast(source);
    if (wrote === passed) continue;
    violations.push(
      `${placeOf(record)} at ${record.offset} was written by transaction ${wrote}, but its input ` +
        `${placeOf(source)} at ${source.offset} was passed by ${passed}`,
    );
  }
  return violations;
}

function wrongOffsets({ inputs, topic, committedOffset }: Evidence): string[] {
  return inputs.flatMap((name) =>
    topic(name).flatMap((view) => {
      const offset = committedOffset(name, view.partition);
      const last = view.committed.at(-1)?.offset ?? -1;
      if (offset > last && offset <= view.endOffset) return [];
      return [
        `${placeOf(view)}: committed at ${offset}, last record ${last}, end ${view.endOffset}`,
      ];
    }),
  );
}

/** A reader that comes back: what it has seen, and was not deleted since, may only grow. */
export class PrefixReader {
  readonly #seen = new Map<string, CommittedRecord[]>();
  readonly violations: string[] = [];

  /** `stableEnd`: what a reader of committed records may see now is below it. */
  read(view: PartitionView, stableEnd: number): void {
    const place = placeOf(view);
    const visible = ({ offset }: CommittedRecord): boolean =>
      offset >= view.startOffset && offset < stableEnd;
    const now = view.committed.filter(visible);
    const before = (this.#seen.get(place) ?? []).filter(({ offset }) => offset >= view.startOffset);
    for (const [at, record] of before.entries()) {
      if (shown(record) === shown(now[at])) continue;
      this.violations.push(`${place}: a reader saw ${shown(record)}, then ${shown(now[at])}`);
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

function placeOf({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}-${partition}`;
}
