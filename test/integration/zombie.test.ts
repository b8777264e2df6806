/**
 * Zombies on real Kafka: a billing process is paused past its session, another takes over, and the
 * first wakes up in the middle of its work. And two processes that believe to be the same instance.
 */
import { afterEach, beforeAll, expect, test } from 'vitest';
import { systemPorts } from '../../src/ports.ts';
import { until } from '../exactness/count-run.ts';
import { build, endAll, type Launched } from '../topologies/billing/launched.ts';
import { BillingScene } from './billing-scene.ts';
import { freeze, thaw } from './real/freeze.ts';
import { describeReal } from './real/parts.ts';
import { sharedKafka } from './real/shared.ts';

const EXACT = { lost: 0, duplicated: 0, wrong: 0 };
const PORTION = 30_000;
const PART = 500;
const PART_PAUSE_MS = 50;
/** Over before long for the one that is paused, and not for the other one on a machine that stalls. */
const SESSION_MS = 5_000;
/** What decides between two with one name is no session. */
const LONG_SESSION_MS = 60_000;
const ROUNDS = 3;

beforeAll(build);
afterEach(endAll);

/** SIGTERM; the exit code. */
async function stop(instance: Launched): Promise<unknown> {
  instance.signal('SIGTERM');
  return instance.ended();
}

/** Pauses the instance in the middle of its work until the others have billed all of it. */
async function haunt(scene: BillingScene, zombie: Launched): Promise<void> {
  const before = await scene.cluster.progress();
  let state: 'awake' | 'caught' = 'awake';
  const write = async (): Promise<void> => {
    for (let left = PORTION; left > 0 && state === 'awake'; left -= PART) {
      await scene.write(PART);
      await systemPorts.timers.sleep(PART_PAUSE_MS);
    }
  };
  const writing = write();
  await until(async () => (await scene.cluster.progress()) > before, 'nothing is billed');
  await freeze(zombie.pid);
  // Else there would be nothing that it could commit late. What comes is written until it is so.
  await until(async () => !(await scene.cluster.isDrained()), 'there is nothing to commit late');
  state = 'caught';
  await writing;
  await scene.drained();
  thaw(zombie.pid);
}

for (const version of ['3.9.1', '4.3.1'] as const) {
  describeReal(`on Kafka ${version}`, () => {
    test('a process that was paused past its session commits nothing and joins again', async () => {
      const { bootstrap } = await sharedKafka(version);
      const scene = await BillingScene.open(bootstrap, PORTION * (ROUNDS + 1));
      const instances = ['one', 'two'].map((name) => scene.start(name, SESSION_MS));
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
      const older = scene.start('one', LONG_SESSION_MS);
      await scene.write(1_000);
      await scene.drained();
      const newer = scene.start('one', LONG_SESSION_MS);
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
