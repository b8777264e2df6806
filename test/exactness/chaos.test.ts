/**
 * Many faults at once, on any request of two instances, with processes that die and come back:
 * whatever happens, the outcome is exact. ESCAPEMENT_SEEDS="4 5 6" runs other faults.
 */
import { expect, test } from 'vitest';
import { systemPorts } from '../../src/ports.ts';
import { counting, folded, Lab, type Row, until } from './lab.ts';
import { losing, type Wire } from './wire.ts';

const PARTITIONS = 3;
const PORTIONS = 10;
const PAUSE_MOST_MS = 150;
const SEEDS = (process.env.ESCAPEMENT_SEEDS ?? '1 2 3').split(' ').map(Number);

/** Mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function disturb(wire: Wire, random: () => number): void {
  wire.between = async (passage, pass) => {
    const dice = random();
    if (dice < 0.015) return losing('request')(passage, pass);
    if (dice < 0.03) return losing('answer')(passage, pass);
    if (dice < 0.05) {
      // The broker carries it out while the caller has given it up.
      void pass().catch(() => {});
      return losing('request')(passage, pass);
    }
    if (dice < 0.08) await systemPorts.timers.sleep(50 * random());
    if (dice < 0.085) wire.die();
    return pass();
  };
}

/** Two instances; a dead one comes back under its instance id when asked for. */
class Pair {
  readonly #lab: Lab;
  readonly #random: () => number;
  readonly #wires = new Map<string, Wire>();
  /** What stopped an instance that had started: no fault here is a reason to. */
  readonly failures: unknown[] = [];

  constructor(lab: Lab, random: () => number) {
    this.#lab = lab;
    this.#random = random;
  }

  revive(faults: 'disturbed' | 'calm'): void {
    for (const instanceId of ['one', 'two']) {
      if (this.#wires.get(instanceId)?.isDead === false) continue;
      const wire = this.#lab.wire();
      if (faults === 'disturbed') disturb(wire, this.#random);
      this.#wires.set(instanceId, wire);
      const options = { instanceId, sessionTimeoutMs: 2_000 };
      this.#lab.start(counting(), wire, options).then(
        (application) =>
          application.stopped().catch((reason: unknown) => this.failures.push(reason)),
        // Whoever cannot start ends, as a process does, and is started again.
        () => wire.die(),
      );
    }
  }

  calm(): void {
    for (const wire of this.#wires.values()) wire.between = (_, pass) => pass();
  }
}

test.each(SEEDS)(
  'counts are exact under random faults, seed %i',
  { timeout: 60_000 },
  async (seed) => {
    const random = randomOf(seed);
    const lab = await Lab.open({ in: PARTITIONS, out: PARTITIONS }, { markerDelayMs: 5 });
    try {
      const pair = new Pair(lab, random);
      const written: Row[][] = Array.from({ length: PARTITIONS }, () => []);
      for (let portion = 0; portion < PORTIONS; portion += 1) {
        pair.revive('disturbed');
        written.forEach((rows, partition) => {
          const portionRows: Row[] = [
            [`k${Math.floor(3 * random())}`, 'x'],
            [`k${partition}`, 'x'],
          ];
          lab.write('in', portionRows, partition);
          rows.push(...portionRows);
        });
        await systemPorts.timers.sleep(PAUSE_MOST_MS * random());
      }
      pair.calm();
      const offsets = () => written.map((_, partition) => lab.offset('in', partition).offset);
      await until(
        () => {
          pair.revive('calm');
          return offsets().every((offset, partition) => offset === written[partition]!.length);
        },
        () => `the input is at ${offsets()}`,
      );
      await lab.reached(0);
      expect(pair.failures).toEqual([]);
      const { output, changelog } = await lab.counts();
      expect(changelog).toEqual(written.flatMap((rows) => folded(rows).changelog));
      expect(output.sort()).toEqual(changelog.sort());
    } finally {
      await lab.close();
    }
  },
);
