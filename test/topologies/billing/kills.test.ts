/** Whom the launcher kills, and when it looks for one. */
import { expect, test } from 'vitest';
import { allRunning, type ReleaseOptions, type Victim } from '../../../topologies/billing/kills.ts';
import { seededRandom } from '../../../topologies/billing/random.ts';

interface Bills {
  readonly instanceId: string;
  partitions: readonly number[];
  isRunning: boolean;
}

/** Looks at instances until all run; `turns`: what happens before each look but the first. */
async function looksUntilRunning(
  all: readonly Bills[],
  ...turns: readonly (() => void)[]
): Promise<number> {
  let looks = 0;
  const options: Partial<ReleaseOptions> = {
    processes: all as unknown as readonly Victim[],
    random: seededRandom(1),
    check: () => {
      if (looks > 0) turns[looks - 1]?.();
      looks += 1;
      if (looks > turns.length + 1) throw new Error('nothing more happens');
    },
  };
  await allRunning(options as ReleaseOptions);
  return looks;
}

const bills = (instanceId: string, ...partitions: number[]): Bills => {
  return { instanceId, partitions, isRunning: true };
};

test('an instance that has joined and has no task yet is waited for', async () => {
  const [one, two, three] = [bills('one', 0, 1), bills('two', 2), bills('three')];
  const looks = await looksUntilRunning(
    [one, two, three],
    () => {
      one.partitions = [0];
    },
    () => {
      three.partitions = [1];
    },
  );
  expect(looks).toBe(3);
});

test('a task that two instances claim, or that is being restored, is waited for', async () => {
  const [one, two] = [bills('one', 0, 1), bills('two', 1, 2)];
  const looks = await looksUntilRunning(
    [one, two],
    () => {
      two.partitions = [2];
      two.isRunning = false;
    },
    () => {
      two.isRunning = true;
    },
  );
  expect(looks).toBe(3);
});

test('more instances than partitions are not waited for to get a task', async () => {
  const all = [bills('a', 0), bills('b'), bills('c', 2), bills('d', 1)];
  expect(await looksUntilRunning(all)).toBe(1);
});
