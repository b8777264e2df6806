import { expect, test } from 'vitest';
import { Heartbeats } from '../../../src/kafka/group/heartbeats.ts';
import { VirtualPorts } from '../../broker/ports.ts';

const INTERVAL_MS = 3_000;
const SESSION_MS = 10_000;

/** Heartbeats whose answers the test gives. */
class Scene {
  readonly ports = new VirtualPorts();
  readonly sentAt: number[] = [];
  readonly #answers: (() => void)[] = [];
  over = 0;
  /** Answers come at once. */
  broker: 'answers' | 'is silent' = 'answers';
  readonly heartbeats = new Heartbeats({
    ports: this.ports,
    intervalMs: INTERVAL_MS,
    sessionTimeoutMs: SESSION_MS,
    beat: () => this.#beat(),
    sessionOver: () => {
      this.over += 1;
    },
  });

  constructor() {
    this.heartbeats.contact(this.ports.clock.monotonic());
    this.heartbeats.begin();
  }

  #beat(): Promise<void> {
    const at = this.ports.clock.monotonic();
    this.sentAt.push(at);
    return new Promise((resolve) => {
      const answer = () => {
        this.heartbeats.contact(at);
        resolve();
      };
      if (this.broker === 'answers') answer();
      else this.#answers.push(answer);
    });
  }

  answer(): void {
    this.#answers.shift()?.();
  }

  /** Time passes, a tenth of a second at a time, with the promises' turns in between. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      this.ports.advance(Math.min(100, left));
      await this.settled();
    }
  }

  async settled(): Promise<void> {
    for (let i = 0; i < 10; i++) await Promise.resolve();
  }
}

test('heartbeats come by their timer alone, one per interval', async () => {
  const scene = new Scene();
  await scene.pass(15_500);
  expect(scene.sentAt).toEqual([3_000, 6_000, 9_000, 12_000, 15_000]);
  expect([scene.over, scene.heartbeats.isProven]).toEqual([0, true]);
});

test('without an answer the membership is unproven before the session is over', async () => {
  const scene = new Scene();
  scene.broker = 'is silent';
  await scene.pass(7_900);
  expect([scene.heartbeats.isProven, scene.over]).toEqual([true, 0]);
  await scene.pass(200);
  expect([scene.heartbeats.isProven, scene.over]).toEqual([false, 0]);
  await scene.pass(2_000);
  expect([scene.heartbeats.isSessionOver, scene.over]).toEqual([true, 1]);
  expect(scene.sentAt).toEqual([3_000]);
});

test('an answer from before a stall, read after it, prolongs nothing', async () => {
  const scene = new Scene();
  scene.broker = 'is silent';
  await scene.pass(3_000);
  const proven: boolean[] = [];
  // Answers that waited are read before the timers run that were due.
  scene.ports.timers.after(1, () => {
    scene.answer();
    proven.push(scene.heartbeats.isProven);
  });
  scene.ports.stall(11_000);
  expect([proven, scene.over]).toEqual([[false], 1]);
});

test('a stall longer than the session ends it before anything else is sent', async () => {
  const scene = new Scene();
  scene.ports.advance(1_000);
  scene.ports.stall(10_000);
  expect(scene.over).toBe(1);
});
