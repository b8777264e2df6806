/** The result of a run as people and as programs read it. */
import type { BillingOptions } from './options.ts';

export interface RunResult {
  readonly broker: string;
  readonly events: number;
  readonly rejected: number;
  readonly late: number;
  readonly dead: number;
  readonly invoices: number;
  readonly kills: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly wrong: number;
  readonly elapsedMs: number;
  readonly recordsPerSecond: number;
  /** True when nothing is lost, duplicated or wrong, and every kill took place. */
  readonly isExact: boolean;
}

export function jsonOf(result: RunResult): string {
  const { isExact: _, ...fields } = result;
  return JSON.stringify(fields);
}

export function tableOf(result: RunResult, options: BillingOptions): string {
  const count = (value: number): string => value.toLocaleString('en');
  const rows: [string, string][] = [
    ['broker', result.broker],
    ['events', count(result.events)],
    ...(options.input === null
      ? []
      : [['rejected lines', count(result.rejected)] as [string, string]]),
    ['late events', count(result.late)],
    ['undecodable', count(result.dead)],
    ['invoices', count(result.invoices)],
    ['kills (SIGKILL)', `${result.kills} of ${options.kills}`],
    ['lost', count(result.lost)],
    ['duplicated', count(result.duplicated)],
    ['wrong', count(result.wrong)],
    ['records per second', count(result.recordsPerSecond)],
    ['time', `${(result.elapsedMs / 1000).toFixed(1)} s`],
  ];
  const left = Math.max(...rows.map(([name]) => name.length));
  const right = Math.max(...rows.map(([, value]) => value.length));
  const line = `+${'-'.repeat(left + 2)}+${'-'.repeat(right + 2)}+`;
  const body = rows.map(([name, value]) => `| ${name.padEnd(left)} | ${value.padStart(right)} |`);
  const verdict = result.isExact
    ? 'Exact: every committed record equals a plain fold of the input.'
    : 'NOT exact: see the rows above.';
  return [line, ...body, line, verdict].join('\n');
}
