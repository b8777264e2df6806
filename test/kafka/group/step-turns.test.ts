import { expect, test } from 'vitest';
import { StepTurns } from '../../../src/kafka/group/step-turns.ts';
import { VirtualPorts } from '../../broker/ports.ts';

async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

class Scene {
  readonly ports = new VirtualPorts();
  readonly turns = new StepTurns(this.ports.timers);
  readonly log: string[] = [];
  readonly #ends = new Map<string, () => void>();

  step(name: string): void {
    const body = () => {
      this.log.push(`${name} begins`);
      return new Promise<void>((resolve) => {
        this.#ends.set(name, resolve);
      });
    };
    const ended = (how: string) => () => {
      this.log.push(`${name} ${how}`);
    };
    this.turns.run(body).then(ended('ends'), ended('is turned away'));
  }

  end(name: string): void {
    this.#ends.get(name)!();
  }

  drain(): void {
    void this.turns.drained(1_000).then(() => this.log.push('drained'));
  }
}

test('a JoinGroup waits for the steps under way, and none begins before its answer', async () => {
  const scene = new Scene();
  scene.turns.open();
  scene.step('a');
  scene.step('b');
  await settled();
  scene.drain();
  scene.step('c');
  await settled();
  scene.end('a');
  await settled();
  expect(scene.log).toEqual(['a begins', 'b begins', 'a ends']);
  scene.end('b');
  await settled();
  expect(scene.log.slice(3).sort()).toEqual(['b ends', 'drained']);
  scene.turns.open();
  await settled();
  expect(scene.log.slice(5)).toEqual(['c begins']);
});

test('the wait is bounded, and leaves no timer behind when it is over before', async () => {
  const scene = new Scene();
  scene.turns.open();
  scene.step('hangs');
  await settled();
  scene.drain();
  scene.ports.advance(999);
  await settled();
  expect(scene.log).toEqual(['hangs begins']);
  scene.ports.advance(1);
  await settled();
  expect(scene.log).toEqual(['hangs begins', 'drained']);
  scene.drain();
  scene.end('hangs');
  await settled();
  expect([scene.log.at(-1), scene.ports.pendingTimers]).toEqual(['drained', 0]);
});

test('steps that wait are turned away with the membership, those under way are not', async () => {
  const scene = new Scene();
  scene.turns.open();
  scene.step('a');
  await settled();
  scene.drain();
  scene.step('b');
  scene.turns.turnAway(new Error('lost'));
  await settled();
  expect(scene.log).toEqual(['a begins', 'b is turned away']);
  scene.end('a');
  await settled();
  expect(scene.log.slice(2).sort()).toEqual(['a ends', 'drained']);
});

test('a step that fails ends its turn', async () => {
  const scene = new Scene();
  scene.turns.open();
  const failing = scene.turns.run(() => Promise.reject(new Error('refused')));
  scene.drain();
  await expect(failing).rejects.toThrow('refused');
  await settled();
  expect(scene.log).toEqual(['drained']);
});
