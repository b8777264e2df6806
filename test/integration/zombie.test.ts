/**
 * Zombies on real Kafka: a billing process is paused past its session, another takes over, and the
 * first wakes up in the middle of its work. And two processes that believe to be the same instance.
 */
import { afterEach, beforeAll, expect, test } from 'vitest';
import { until } from '../exactness/count-run.ts';
import { build, endAll, type Launched } from '../topologies/billing/launched.ts';
import { BillingScene } from './billing-scene.ts';
import { describeReal } from './real/parts.ts';
import { sharedKafka } from './real/shared.ts';

const EXACT = { lost: 0, duplicated: 0, wrong: 0 };
/** So much that the pause comes in the middle of it, however fast the machine is. */
const PORTION = 30_000;
const ROUNDS = 3;

beforeAll(build);
afterEach(endAll);

/** SIGTERM; the exit code. */
async function stop(instance: Launched): Promise<unknown> {
  instance.signal('SIGTERM');
  return instance.ended();
}

/** Pauses the instance in the middle of a portion until the others have billed all of it. */
async function haunt(scene: BillingScene, zombie: Launched): Promise<void> {
  const before = await scene.cluster.progress();
  const writing = scene.write(PORTION);
  await until(async () => (await scene.cluster.progress()) > before, 'nothing is billed');
  zombie.signal('SIGSTOP');
  await writing;
  // Else there would be nothing that it could commit late.
  expect(await scene.cluster.isDrained()).toBe(false);
  await scene.drained();
  zombie.signal('SIGCONT');
}

for (const version of ['3.9.1', '4.3.1'] as const) {
  describeReal(`on Kafka ${version}`, () => {
    test('a process that was paused past its session commits nothing and joins again', async () => {
      const { bootstrap } = await sharedKafka(version);
      const scene = await BillingScene.open(bootstrap, PORTION * (ROUNDS + 1));
      const instances = [scene.start('one'), scene.start('two')];
      await scene.members(2);
      for (let round = 0; round < ROUNDS; round += 1) {
        await haunt(scene, instances[round % 2]!);
        await scene.members(2);
      }
      expect(await scene.verdict()).toMatchObject(EXACT);
      for (const instance of instances) expect(instance.stderr).toBe('');
      expect(await Promise.all(instances.map(stop))).toEqual([0, 0]);
      await scene.close();
    });

    test('the older of two processes with one instance id stops and says why', async () => {
      const { bootstrap } = await sharedKafka(version);
      const scene = await BillingScene.open(bootstrap, 3_000);
      const older = scene.start('one');
      await scene.write(1_000);
      await scene.drained();
      const newer = scene.start('one');
      expect(await older.ended()).toBe(1);
      expect(older.stderr).toMatch(/^INSTANCE_FENCED: .*'one'/m);
      await scene.members(1);
      expect(await scene.verdict()).toMatchObject(EXACT);
      expect(newer.stderr).toBe('');
      expect(await stop(newer)).toBe(0);
      await scene.close();
    });
  });
}
