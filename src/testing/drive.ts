/**
 * All tasks of a topology over one set of topics: what was written is passed on to whoever reads it.
 *
 * I1. Records are delivered one by one, in the order in which they were written.
 * I2. A topology that feeds itself comes to an end: what one step of a test may cause is bounded.
 */
import { type Options, resolveOptions } from '../config/options.ts';
import type { TopicPartition } from '../kafka/topic-partition.ts';
import type { Ports } from '../ports.ts';
import type { ApplicationPlan } from '../runtime/application-plan.ts';
import { DrivenTask } from './driven-task.ts';
import { TopicLogs } from './topic-logs.ts';
import { endless, feedsItself } from './topic-loop.ts';

export interface DriveParts {
  readonly application: ApplicationPlan;
  readonly options: Options;
  readonly ports: Ports;
  /** Records that tasks may write to what tasks read, for each of the steps that `allow` is told. */
  readonly causedRecordsMax: number;
}

export class Drive {
  readonly logs = new TopicLogs();
  readonly tasks: readonly DrivenTask[];
  /** Whether records come back to a topic that they have been in. */
  readonly feedsItself: boolean;
  readonly #application: ApplicationPlan;
  readonly #causedRecordsMax: number;
  /** I2. Records of all inputs at which it ends. */
  #recordsMax = Number.POSITIVE_INFINITY;

  constructor({ application, options, ports, causedRecordsMax }: DriveParts) {
    this.#application = application;
    this.feedsItself = feedsItself(application);
    this.#causedRecordsMax = causedRecordsMax;
    this.tasks = application.tasks.map(
      (plan) => new DrivenTask({ plan, application, logs: this.logs, options, ports }),
    );
  }

  /** The task whose next record was written first, or null when no record waits. */
  next(): DrivenTask | null {
    let first: DrivenTask | null = null;
    for (const task of this.tasks) {
      if (task.nextOrder < (first?.nextOrder ?? Number.POSITIVE_INFINITY)) first = task;
    }
    return first;
  }

  /** I2. What is in the topics now may cause as many records as so many steps of a test may. */
  allow(steps = 1): void {
    this.#recordsMax = this.#records() + steps * this.#causedRecordsMax;
  }

  /** The next record of a task. Throws `TEST_DRIVER_ENDLESS`, and what stops the task. */
  deliver(task: DrivenTask): void {
    if (this.#records() > this.#recordsMax) {
      throw endless(this.#application, task.nextTopic, this.#causedRecordsMax);
    }
    task.deliver();
  }

  #records(): number {
    const inputs = this.tasks.flatMap(({ plan }) => plan.inputs);
    return inputs.reduce((sum, input) => sum + this.logs.end(input), 0);
  }

  /** Delivers everything there is, each record in a step of its own. Throws what stops a task. */
  run(): void {
    for (const task of this.tasks) {
      task.work();
      task.commit();
    }
    for (let task = this.next(); task !== null; task = this.next()) {
      this.deliver(task);
      task.commit();
    }
  }

  /** The task that reads a partition. */
  readerOf({ topic, partition }: TopicPartition): DrivenTask | undefined {
    return this.tasks.find(({ plan }) =>
      plan.inputs.some((input) => input.topic === topic && input.partition === partition),
    );
  }

  /** Everything that was written has been read, done and committed. */
  get isDone(): boolean {
    return this.next() === null && this.tasks.every(({ isDone, isMoved }) => isDone && !isMoved);
  }

  release(): void {
    for (const task of this.tasks) task.release();
  }
}

export const DRIVER_APPLICATION = 'test-driver';

export function driverOptions(): Options {
  return resolveOptions({ applicationId: DRIVER_APPLICATION });
}
