/** What a run has not tried yet: each kind of fault must have struck, and each aimed one have hit. */
import { AIMED_APIS } from './network-chaos.ts';
import type { ChaosReport } from './report.ts';

export type Struck = Pick<
  ChaosReport,
  'kills' | 'zombies' | 'restarts' | 'brokerKills' | 'connectionsCut' | 'rolledBack' | 'lostAnswers'
>;

/** Names of what has not happened once. */
export function missingOf({ lostAnswers, ...counts }: Struck): string[] {
  const missing = Object.entries(counts).filter(([, count]) => count === 0);
  const answered = AIMED_APIS.filter((api) => (lostAnswers[api] ?? 0) === 0);
  return [...missing.map(([kind]) => kind), ...answered.map((api) => `a lost answer of ${api}`)];
}
