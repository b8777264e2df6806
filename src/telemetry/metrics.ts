/**
 * What an instance counts: one table of names, and one number (or one per label) for each.
 *
 * Owned by `run`, which hands it to the cluster and the instance. Whoever counts holds the `Metric`
 * and adds to a field of it, so that counting costs what an addition costs; nothing is computed
 * before `snapshot` is called. Gauges of what is known elsewhere are set as they are read.
 *
 * I1. Counters never go back while the instance lives; gauges say what is now.
 */

interface Definition {
  readonly kind: 'counter' | 'gauge';
  /** What its value is split by; `null`: one number. */
  readonly by: 'api' | 'decision' | 'partition' | null;
  readonly unit: string;
  readonly meaning: string;
}

export const METRICS = {
  'transactions.committed': {
    kind: 'counter',
    by: null,
    unit: 'transactions',
    meaning: 'Commits that were acknowledged.',
  },
  'transactions.aborted': {
    kind: 'counter',
    by: null,
    unit: 'transactions',
    meaning: 'Aborts that were acknowledged.',
  },
  'transactions.failed': {
    kind: 'counter',
    by: 'decision',
    unit: 'transactions',
    meaning: 'Commits that were not acknowledged, by what follows from the reason.',
  },
  'transactions.commitMs': {
    kind: 'counter',
    by: null,
    unit: 'ms',
    meaning: 'Time spent in commits that were acknowledged, all tasks together.',
  },
  'transaction.version': {
    kind: 'gauge',
    by: null,
    unit: 'version',
    meaning:
      'Transactions v1 or v2 (KIP-890), by the last initialised producer; 0 before the first.',
  },
  'producer.initialized': {
    kind: 'counter',
    by: null,
    unit: 'times',
    meaning:
      'Producer ids and epochs got by InitProducerId: once per task, and after each failure.',
  },
  'producer.rotated': {
    kind: 'counter',
    by: null,
    unit: 'times',
    meaning: 'New producer ids that came with the end of a transaction, its epochs used up (v2).',
  },
  'requests.sent': {
    kind: 'counter',
    by: 'api',
    unit: 'requests',
    meaning: 'Requests to the brokers.',
  },
  'requests.repeated': {
    kind: 'counter',
    by: 'api',
    unit: 'requests',
    meaning: 'Requests of transactions sent again after an answer that asked for it.',
  },
  'requests.lost': {
    kind: 'counter',
    by: 'api',
    unit: 'requests',
    meaning: 'Requests without an answer: connection lost, time-out, or never sent.',
  },
  'records.processed': {
    kind: 'counter',
    by: null,
    unit: 'records',
    meaning: 'Input records that were processed; a record that runs again counts again.',
  },
  'records.lag': {
    kind: 'gauge',
    by: 'partition',
    unit: 'records',
    meaning:
      'Of each input of a running task: records up to the last stable offset that no commit covers.',
  },
  'records.written': {
    kind: 'counter',
    by: null,
    unit: 'records',
    meaning: 'Records that partition leaders acknowledged: outputs and changelogs.',
  },
  'bytes.written': {
    kind: 'counter',
    by: null,
    unit: 'bytes',
    meaning: 'Size of the batches of these records.',
  },
  'group.assignments': {
    kind: 'counter',
    by: null,
    unit: 'times',
    meaning: 'Assignments received from the group: one per rebalance, or two when tasks move.',
  },
  'group.lost': {
    kind: 'counter',
    by: null,
    unit: 'times',
    meaning: 'Memberships that ended with all their tasks: session over, or a rebalance missed.',
  },
  'process.stalls': {
    kind: 'counter',
    by: null,
    unit: 'times',
    meaning: 'Times that the process stood still for a heartbeat interval or longer.',
  },
  'process.stalledMs': {
    kind: 'counter',
    by: null,
    unit: 'ms',
    meaning: 'How long it stood still, all stalls together.',
  },
  'restore.records': {
    kind: 'counter',
    by: null,
    unit: 'records',
    meaning: 'Records read from changelogs by restores that are through.',
  },
  'restore.remaining': {
    kind: 'gauge',
    by: 'partition',
    unit: 'records',
    meaning: 'Of each changelog that is being restored: records before its end.',
  },
  'tasks.running': {
    kind: 'gauge',
    by: null,
    unit: 'tasks',
    meaning: 'Tasks that process records now.',
  },
} as const satisfies Readonly<Record<string, Definition>>;

export type MetricName = keyof typeof METRICS;

/** One number, or an object with one number per label. */
export type MetricsSnapshot = {
  readonly [Name in MetricName]: (typeof METRICS)[Name]['by'] extends null
    ? number
    : Readonly<Record<string, number>>;
};

export class Metric {
  value = 0;
  readonly #labels = new Map<string, Metric>();

  add(count = 1): void {
    this.value += count;
  }

  /** The part of that label: the same object for the same one. */
  of(label: string): Metric {
    let part = this.#labels.get(label);
    if (part === undefined) {
      part = new Metric();
      this.#labels.set(label, part);
    }
    return part;
  }

  /** The parts of a gauge as they are now: whatever is not among them is gone. */
  show(parts: Iterable<readonly [label: string, value: number]>): void {
    this.#labels.clear();
    for (const [label, value] of parts) this.of(label).value = value;
  }

  parts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#labels].map(([label, { value }]) => [label, value]));
  }
}

const NAMES = Object.keys(METRICS) as MetricName[];

export class Metrics {
  readonly #all = new Map<MetricName, Metric>(NAMES.map((name) => [name, new Metric()]));

  get(name: MetricName): Metric {
    return this.#all.get(name)!;
  }

  snapshot(): MetricsSnapshot {
    return Object.fromEntries(
      NAMES.map((name) => [
        name,
        METRICS[name].by === null ? this.get(name).value : this.get(name).parts(),
      ]),
    ) as MetricsSnapshot;
  }
}
