import type { Broker } from '../../src/broker/broker.ts';
import type { RunningTime } from './running-time.ts';

/** Until every transaction that was ended has its markers. */
export async function marked({
  broker,
  time,
}: {
  readonly broker: Broker;
  readonly time: RunningTime;
}): Promise<void> {
  const isEnding = () => broker.listTransactions().some(({ state }) => state.startsWith('Prepare'));
  await time.until(() => !isEnding());
}
