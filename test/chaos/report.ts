/** What a chaos run has to say at its end: for people, and as one line of JSON. */
import type { TakeOverTimes } from './take-over.ts';

export interface ChaosReport {
  readonly seed: number;
  readonly kafka: string;
  readonly minutes: number;
  /** Input records in the log. */
  readonly records: number;
  /** Committed outputs that were held against the model. */
  readonly emissions: number;
  /** Of these, how many came by a repartition record that was deleted before it could be looked at. */
  readonly unseen: number;
  /** Outputs of transactions that were rolled back. */
  readonly rolledBack: number;
  /** SIGKILL of a process. */
  readonly kills: number;
  /** Processes that were paused past their session and woke up. */
  readonly zombies: number;
  /** SIGTERM of a process. */
  readonly restarts: number;
  readonly brokerKills: number;
  readonly connections: number;
  /** Connections that faults or short lives ended. */
  readonly connectionsCut: number;
  readonly networkFaults: Readonly<Record<string, number>>;
  /** Answers that were due and never came, by API. */
  readonly lostAnswers: Readonly<Record<string, number>>;
  readonly rebalances: number;
  /** Static members that a late request of the process before them, or an own one, has ended. */
  readonly fenced: number;
  /** Processes that ended because they reached no broker when they started. */
  readonly failedStarts: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly swapped: number;
  readonly wrong: number;
  readonly dirty: number;
  /** What else must not be: offsets, open transactions, processes that ended by themselves. */
  readonly problems: readonly string[];
  /** Times that a quiet system did not come to rest within half a minute. */
  readonly unsettled: number;
  readonly takeOverAfterKill: TakeOverTimes & { readonly targetMs: number };
  readonly takeOverAfterTerm: TakeOverTimes & { readonly targetMs: number };
  readonly drainMs: number;
  readonly elapsedMs: number;
  readonly isExact: boolean;
}

const number = (value: number): string => value.toLocaleString('en');

export function tableOf(report: ChaosReport): string {
  const by = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .sort(([, one], [, other]) => other - one)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  const sum = (counts: Readonly<Record<string, number>>): number =>
    Object.values(counts).reduce((total, count) => total + count, 0);
  const rows: readonly (readonly [string, string])[] = [
    ['records', number(report.records)],
    ['emissions checked', `${number(report.emissions)} (${number(report.rolledBack)} rolled back)`],
    ['of unseen origin', number(report.unseen)],
    ['kills', number(report.kills)],
    ['zombies', number(report.zombies)],
    ['restarts', number(report.restarts)],
    ['broker kills', number(report.brokerKills)],
    ['connections', `${number(report.connections)}, cut ${number(report.connectionsCut)}`],
    ['network faults', `${number(sum(report.networkFaults))} (${by(report.networkFaults)})`],
    ['lost answers', `${number(sum(report.lostAnswers))} (${by(report.lostAnswers)})`],
    ['rebalances', number(report.rebalances)],
    ['fenced by late requests', number(report.fenced)],
    ['failed starts', number(report.failedStarts)],
    ['take-over after kill -9', timesOf(report.takeOverAfterKill)],
    ['take-over after SIGTERM', timesOf(report.takeOverAfterTerm)],
    ['not settled', number(report.unsettled)],
    ['drained in', `${(report.drainMs / 1_000).toFixed(1)} s`],
    ['lost', number(report.lost)],
    ['duplicated', number(report.duplicated)],
    ['swapped', number(report.swapped)],
    ['wrong', number(report.wrong)],
    ['read dirty', number(report.dirty)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
  return [...lines, ...report.problems, report.isExact ? 'EXACT' : 'NOT EXACT'].join('\n');
}

function timesOf({ samples, medianMs, maxMs, targetMs }: ChaosReport['takeOverAfterKill']): string {
  if (samples === 0) return `not measured, target ${targetMs} ms`;
  return `median ${medianMs} ms, max ${maxMs} ms of ${samples} (target ${targetMs} ms)`;
}
