/**
 * Watches a run from outside: follows the logs of all its topics and gives them to the audit as they
 * become certain; afterwards holds what is left in the brokers against the model.
 */
import type { Audit } from './audit.ts';
import { Follower } from './follower.ts';
import type { TakeOver } from './take-over.ts';
import type { Topics } from './topics.ts';
import { CHANGELOG, INPUT, OUTPUT, PARTITIONS, REPARTITION } from './topology.ts';

export interface WitnessOptions {
  readonly brokers: readonly string[];
  readonly audit: Audit;
  readonly takeOvers: readonly TakeOver[];
  readonly failed: (error: Error) => void;
}

const POLL_MS = 200;
/** Much longer than an abandoned transaction lives. */
const ENDED_MS_MOST = 180_000;

export class Witness {
  readonly #options: WitnessOptions;
  readonly #inputs: Follower[];
  readonly #repartition: Follower[];
  readonly #outputs: Follower[];
  #changelog: Follower[] = [];
  readonly #rows = new Map<string, string>();

  constructor(options: WitnessOptions) {
    this.#options = options;
    const { audit, takeOvers } = options;
    this.#inputs = this.#follow(INPUT, (partition) => ({
      committed: (record) => audit.input(partition, record),
      aborted: () => {},
      advanced: () => audit.judge(),
    }));
    this.#repartition = this.#follow(REPARTITION, (partition) => ({
      committed: (record) => audit.brought(partition, record, 'committed'),
      aborted: (record) => audit.brought(partition, record, 'aborted'),
      skipped: (_from, to) => audit.skipped(partition, to),
      advanced: ({ settledEnd }) => {
        audit.settled(partition, settledEnd);
        audit.judge();
      },
    }));
    this.#outputs = this.#follow(OUTPUT, (partition) => ({
      committed: (record) => {
        const { writer } = audit.emitted(partition, record);
        for (const takeOver of takeOvers) takeOver.output(partition, writer);
      },
      aborted: () => {
        audit.rolledBack += 1;
      },
      advanced: () => audit.judge(),
    }));
  }

  /** Everything below these offsets was read, and all that was seen behind them. */
  isInputRead(ends: readonly number[]): boolean {
    return this.#inputs.every(
      ({ log, end, partition }) => log.position >= Math.max(end, ends[partition]!),
    );
  }

  /** What cannot be asked while it changes: changelogs, committed offsets, open transactions. */
  async inspect(topics: Topics): Promise<string[]> {
    const { audit } = this.#options;
    this.#changelog = this.#follow(CHANGELOG, () => ({
      committed: ({ key, value }) => this.#rows.set(String(key), String(value)),
      aborted: () => {},
    }));
    const problems = await this.#untilEnded(topics);
    audit.finish();
    audit.changelog(this.#rows);
    return [...problems, ...(await this.#offsets(topics))];
  }

  async close(): Promise<void> {
    await Promise.all(this.#all().map((follower) => follower.close()));
  }

  #all(): Follower[] {
    return [...this.#inputs, ...this.#repartition, ...this.#outputs, ...this.#changelog];
  }

  #follow(
    topic: string,
    listenerOf: (
      partition: number,
    ) => Omit<
      ConstructorParameters<typeof Follower>[0],
      'brokers' | 'topic' | 'partition' | 'failed'
    >,
  ): Follower[] {
    const { brokers, failed } = this.#options;
    return Array.from(
      { length: PARTITIONS },
      (_, partition) =>
        new Follower({ brokers, topic, partition, failed, ...listenerOf(partition) }),
    );
  }

  /** Everything is read to its end, and every transaction has ended. */
  async #untilEnded(topics: Topics): Promise<string[]> {
    const deadline = performance.now() + ENDED_MS_MOST;
    const ends = new Map<string, number[]>();
    for (const topic of new Set(this.#all().map((each) => each.topic))) {
      ends.set(topic, await topics.ends(topic));
    }
    for (;;) {
      const open = this.#all().filter(({ topic, partition, log, end, stableEnd, isRead }) => {
        // What a new leader says of itself may be less than what it has.
        const last = Math.max(end, ends.get(topic)![partition]!);
        return !isRead || log.open > 0 || stableEnd < last || log.position < last;
      });
      if (open.length === 0) return [];
      if (performance.now() > deadline) {
        return open.map(
          ({ topic, partition, log, end, stableEnd }) =>
            `${topic}-${partition}: a transaction is open, ${log.open} records: read to ` +
            `${log.position}, last stable offset ${stableEnd}, end ${end}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Asked until they are right: their markers are written beside those of the logs, perhaps later. */
  async #offsets(topics: Topics): Promise<string[]> {
    const deadline = performance.now() + ENDED_MS_MOST;
    for (;;) {
      const problems = await this.#wrongOffsets(topics);
      if (problems.length === 0 || performance.now() > deadline) return problems;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async #wrongOffsets(topics: Topics): Promise<string[]> {
    const problems: string[] = [];
    for (const followers of [this.#inputs, this.#repartition]) {
      const committed = await topics.committed(followers[0]!.topic);
      for (const { topic, partition, lastRecord, end } of followers) {
        const offset = committed[partition]!;
        if (offset > lastRecord && offset <= end) continue;
        problems.push(
          `${topic}-${partition}: committed at ${offset}, last record ${lastRecord}, end ${end}`,
        );
      }
    }
    return problems;
  }
}
