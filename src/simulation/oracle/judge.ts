/**
 * The verdict on a run, from the bytes in the broker and the requests that it carried out.
 *
 * What holds for every application is here; what an application should have computed says its model.
 * Each check stands alone, and a mutant of its evidence shows that it can fail
 * (`test/mutants/oracle-mutants.ts`):
 *
 *   model         what is committed is what the model computes from the input, changelogs included
 *   stores        stores hold what their changelogs say, and nobody reads from them what is not
 *                 committed (`store-views.ts`)
 *   offsets       the group stands behind the last input record, and never went back
 *   atomicity     a transaction is committed in all its partitions or in none, moves the group's
 *                 offsets, and holds what follows from the input that it passed
 *   conservation  what the model says must hold holds after each committed transaction
 *   reader        what a reader has seen stays as it was, and more only comes behind it
 *   open          no transaction is left without an end, and nothing is hidden behind one
 *   owner         who writes, commits and takes a transactional id is its owner by the group
 *
 * Four more compare or watch whole runs and are made where those are: `undisturbed` and `replay`
 * (`differential.ts`), `rest` and `leak` (`simulation.ts`).
 */
import type { CommittedRecord } from './committed-log.ts';
import { type Check, type Evidence, placeOf, type Violation } from './evidence.ts';
import { wrongStores } from './store-views.ts';

/** Of each kind, the first ones: what follows from a violation is seldom of interest. */
const SHOWN_MOST = 3;

export function judge(evidence: Evidence): readonly Violation[] {
  const { model, seen } = evidence;
  const checks: readonly (readonly [Check, () => readonly string[]])[] = [
    ['open', () => openEnds(evidence)],
    ['atomicity', () => tornTransactions(evidence)],
    ['offsets', () => wrongOffsets(evidence)],
    ['owner', () => foreignWrites(evidence)],
    ['stores', () => wrongStores(evidence)],
    ['conservation', () => model.conserved?.(evidence) ?? []],
    ['model', () => model.check(evidence)],
  ];
  const found = checks.flatMap(([check, run]) =>
    violationsOf(run)
      .slice(0, SHOWN_MOST)
      .map((what): Violation => ({ check, what })),
  );
  return [...seen, ...found];
}

/** What a check cannot even read is wrong, too. */
function violationsOf(check: () => readonly string[]): readonly string[] {
  try {
    return check();
  } catch (cause) {
    return [`cannot be judged: ${cause instanceof Error ? cause.message : String(cause)}`];
  }
}

function openEnds({ topics, topic, stableEnd, openTransactions }: Evidence): string[] {
  const places = topics
    .flatMap((name) => topic(name))
    .flatMap((view) => {
      const stable = stableEnd(view.topic, view.partition);
      if (view.open > 0) return [`${placeOf(view)}: ${view.open} records without an end`];
      if (stable === view.endOffset) return [];
      return [`${placeOf(view)}: readers see up to ${stable} of ${view.endOffset}`];
    });
  return [...places, ...openTransactions];
}

function tornTransactions(evidence: Evidence): string[] {
  const { steps, topics, topic, transactionOf, model } = evidence;
  const committed = new Set(steps.map(({ transaction }) => transaction));
  const passed = passedBy(evidence);
  const violations: string[] = [];
  for (const view of topics.flatMap((name) => topic(name))) {
    for (const record of view.committed) {
      const wrote = transactionOf(record);
      const at = `${placeOf(record)} at ${record.offset}`;
      if (wrote !== null && !committed.has(wrote)) {
        violations.push(`${at} is of transaction ${wrote}, which did not commit any offset`);
      }
      const source = model.source(record);
      if (source === null || passed(source) === wrote) continue;
      violations.push(
        `${at} was written by transaction ${wrote}, but its input ${placeOf(source)} at ` +
          `${source.offset} was passed by ${passed(source)}`,
      );
    }
    for (const record of view.aborted) {
      const wrote = transactionOf(record);
      if (wrote === null || !committed.has(wrote)) continue;
      violations.push(
        `${placeOf(record)} at ${record.offset} was aborted with transaction ${wrote}, which committed`,
      );
    }
  }
  return violations;
}

/** The committed transaction that moved the group's offset past a record; null: none did. */
function passedBy({ steps }: Evidence) {
  const positions = new Map<string, { transaction: string; offset: number }[]>();
  for (const { transaction, offsets } of steps) {
    for (const each of offsets) {
      const place = placeOf(each);
      const before = positions.get(place) ?? [];
      before.push({ transaction, offset: each.offset });
      positions.set(place, before);
    }
  }
  return (source: { topic: string; partition: number; offset: number }): string | null =>
    positions.get(placeOf(source))?.find(({ offset }) => offset > source.offset)?.transaction ??
    null;
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

function foreignWrites({ steps, writerOf }: Evidence): string[] {
  return steps.flatMap(({ transactionalId, process, records }) =>
    records
      .filter((record) => writerOf(record) !== process)
      .map(
        (record: CommittedRecord) =>
          `${placeOf(record)} at ${record.offset} of ${transactionalId} was written by ` +
          `${writerOf(record)} and committed by ${process}`,
      ),
  );
}
