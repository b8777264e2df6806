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
/** Longer than an abandoned transaction lives. */
const ENDED_MS_MOST = 30_000;

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

  /** All input that is in the log was read. */
  get isInputRead(): boolean {
    return this.#inputs.every(({ log, end }) => log.position >= end);
  }

  /** What cannot be asked while it changes: changelogs, committed offsets, open transactions. */
  async inspect(topics: Topics): Promise<string[]> {
    const { audit } = this.#options;
    this.#changelog = this.#follow(CHANGELOG, () => ({
      committed: ({ key, value }) => this.#rows.set(String(key), String(value)),
      aborted: () => {},
    }));
    const problems = await this.#untilEnded();
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
  async #untilEnded(): Promise<string[]> {
    const deadline = performance.now() + ENDED_MS_MOST;
    for (;;) {
      const open = this.#all().filter(
        ({ log, end, stableEnd, isRead }) =>
          !isRead || log.open > 0 || stableEnd < end || log.position < end,
      );
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

  async #offsets(topics: Topics): Promise<string[]> {
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
