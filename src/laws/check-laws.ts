/**
 * Laws that a topology keeps whatever its input is, checked over random records by fast-check.
 *
 * Each law is a property of its own, so that what breaks one shrinks to the least input that breaks
 * that one.
 */
import fc, { type Arbitrary } from 'fast-check';
import { type Known, refuseMissing, refuseOther, refuseUnknown } from '../config/known-options.ts';
import { EscapementError, messageOf } from '../errors.ts';
import { topicsOfUser } from '../runtime/application-plan.ts';
import { unknownTopic, wholeNumber } from '../testing/driven.ts';
import { madeTopology } from '../topology/given-topology.ts';
import type { SourceNode, Topology } from '../topology/node.ts';
import { JUDGES, type Judged } from './judges.ts';
import { LAW_NAMES, LAWS, type Law } from './law.ts';
import { type CaseRecord, caseOf, type LawCase, type LawInputs } from './law-case.ts';
import type { Expected } from './model.ts';
import { said } from './watched-serdes.ts';

/** A record as a model sees it: which topic it came from, its parts and its event time. */
export type ModelRecord<I extends LawInputs> = {
  [T in keyof I & string]: I[T] extends Arbitrary<infer R>
    ? R & { readonly topic: T; readonly timestampMs: number }
    : never;
}[keyof I & string];

export interface LawOptions<I extends LawInputs = LawInputs> {
  /** Makes the topology; called for every run, which share no objects. */
  readonly topology: () => Topology | { build(): Topology };
  /** Arbitraries of the records, by input topic: `{ key, value, timestampMs }`. */
  readonly inputs: I;
  /**
   * The batch that the stream must equal: from all records, in the order in which they came, what
   * each output topic holds. Default: only streams are compared with one another.
   */
  readonly model?: (records: readonly ModelRecord<I>[]) => Readonly<Record<string, Expected>>;
  /**
   * Output topics of which the order of the input does not change what they hold in the end:
   * `latest`, the last value of each key; `all`, all records, whatever their order. Default: none.
   */
  readonly orderInsensitive?: Readonly<Record<string, 'latest' | 'all'>>;
  /** Default: all, order insensitivity where it is claimed. */
  readonly laws?: readonly Law[];
  /** Inputs for each law. Default 30. */
  readonly runs?: number;
  /** Most records of an input, 1 or more. Default 8. */
  readonly recordsMax?: number;
  /** Topics have 1 to so many partitions. Default 3. With 1, none speaks of partition independence. */
  readonly partitionsMax?: number;
  /** Default: another one each time; a report names it. */
  readonly seed?: number;
  /** Leads straight to an input that a report shows; for one law, with the `seed` of the report. */
  readonly path?: string;
}

export interface LawReport {
  readonly seed: number;
  /** Inputs that each law was checked with. */
  readonly runs: Readonly<Partial<Record<Law, number>>>;
  /** For people: one line for each law. */
  readonly text: string;
}

const KNOWN: Known<LawOptions> = {
  topology: true,
  inputs: true,
  model: true,
  orderInsensitive: true,
  laws: true,
  runs: true,
  recordsMax: true,
  partitionsMax: true,
  seed: true,
  path: true,
};

const RUNS = 30;
const RECORDS_MAX = 8;
const PARTITIONS_MAX = 3;

/**
 * Checks the laws. Rejects with `LAW_BROKEN`, whose message holds for every law that is broken what
 * differed, the least input that shows it, and how to run it again; with `OPTION_INVALID` or what
 * stops the topology from being built.
 */
export async function checkLaws<I extends LawInputs>(options: LawOptions<I>): Promise<LawReport> {
  refuseUnknown('checkLaws', options, KNOWN);
  refuseMissing('checkLaws', options, ['topology', 'inputs']);
  const laws = lawsOf(options);
  const judged = judgedOf(options);
  const { runs = RUNS, path } = options;
  const cases = caseOf(options.inputs, {
    recordsMax: options.recordsMax ?? RECORDS_MAX,
    partitionsMax: options.partitionsMax ?? PARTITIONS_MAX,
  });
  let seed = options.seed;
  const done: Partial<Record<Law, number>> = {};
  const broken: string[] = [];
  for (const law of laws) {
    const judge = JUDGES[law];
    const property = fc.asyncProperty(cases, async (given) => {
      const found = await judge(judged, given);
      if (found !== null) throw new EscapementError('LAW_BROKEN', found);
    });
    const details = await fc.check(property, {
      numRuns: runs,
      ...(seed === undefined ? {} : { seed }),
      ...(path === undefined ? {} : { path }),
    });
    // All laws see the same inputs.
    seed = details.seed;
    done[law] = details.numRuns;
    if (!details.failed) continue;
    const { counterexample, counterexamplePath, errorInstance } = details;
    const what = messageOf(errorInstance);
    const shown = { law, what, given: counterexample![0], seed, path: counterexamplePath! };
    broken.push(brokenText(shown));
    // Nothing can be said about records that stop the topology.
    if (law === 'every record is done') break;
  }
  if (broken.length > 0) throw new EscapementError('LAW_BROKEN', broken.join('\n'));
  const lines = laws.map((law) => `${law}: held for ${done[law]} inputs`);
  return { seed: seed!, runs: done, text: [...lines, `seed ${seed}`].join('\n') };
}

function lawsOf(options: Omit<LawOptions, 'model'>): readonly Law[] {
  const { laws, path, runs = RUNS, recordsMax = RECORDS_MAX } = options;
  wholeNumber('runs', runs, 1);
  wholeNumber('recordsMax', recordsMax, 1);
  const { partitionsMax = PARTITIONS_MAX } = options;
  wholeNumber('partitionsMax', partitionsMax, 1);
  const claims = Object.keys(options.orderInsensitive ?? {}).length;
  if (path !== undefined && laws?.length !== 1) refuse('A `path` is that of one law: name it.');
  if (laws === undefined) {
    return LAW_NAMES.filter(
      (law) =>
        (law !== 'order insensitivity' || claims > 0) &&
        (law !== 'partition independence' || partitionsMax > 1),
    );
  }
  if (!Array.isArray(laws)) refuse(`\`laws\` is a list of: ${LAW_NAMES.join(', ')}.`);
  const unknown = laws.find((law) => !Object.hasOwn(LAWS, law));
  if (unknown !== undefined) {
    refuse(`There is no law '${unknown}'; there are: ${LAW_NAMES.join(', ')}.`);
  }
  if (laws.includes('order insensitivity') && claims === 0) {
    refuse('Order insensitivity holds where it is claimed: name topics in `orderInsensitive`.');
  }
  if (laws.includes('partition independence') && partitionsMax === 1) {
    refuse('Partition independence is about 2 partitions or more: raise `partitionsMax`.');
  }
  return LAW_NAMES.filter((law) => laws.includes(law));
}

function judgedOf<I extends LawInputs>(options: LawOptions<I>): Judged {
  const { topology: made, inputs, model, orderInsensitive = {} } = options;
  const topology = (): Topology => madeTopology('checkLaws', made);
  const { nodes } = topology();
  const sources = nodes
    .filter((node): node is SourceNode => node.kind === 'source' && node.repartition === null)
    .map((node) => node.topic);
  const topics = [...topicsOfUser({ name: '', nodes })];
  if (Object.keys(inputs).length === 0) refuse('`inputs` names no topic.');
  for (const topic of Object.keys(inputs)) {
    if (!sources.includes(topic)) throw unknownTopic(topic, sources);
    const { generate } = (inputs[topic] ?? {}) as { readonly generate?: unknown };
    if (typeof generate === 'function') continue;
    refuse(`inputs: '${topic}' needs an arbitrary of fast-check: fc.record({ key, value }).`);
  }
  for (const topic of Object.keys(orderInsensitive)) {
    if (!topics.includes(topic)) throw unknownTopic(topic, topics);
    refuseOther('orderInsensitive', topic, orderInsensitive[topic], 'latest', 'all');
  }
  return { topology, model: (model ?? null) as Judged['model'], orderInsensitive };
}

function refuse(what: string): never {
  throw new EscapementError('OPTION_INVALID', what);
}

interface Broken {
  readonly law: Law;
  readonly what: string;
  readonly given: LawCase;
  readonly seed: number;
  readonly path: string;
}

function brokenText({ law, what, given, seed, path }: Broken): string {
  const { records, shuffled, partitions } = given;
  const order = records.map((record) => shuffled.indexOf(record) + 1).join(', ');
  const lines = [
    `The law '${law}' is broken. ${what.replaceAll('\n', '\n  ')}`,
    `  ${LAWS[law]}`,
    `  Input, ${partitions === 1 ? '1 partition' : `${partitions} partitions`}:`,
    ...records.map((record) => `    ${recordText(record)}`),
    ...(law === 'order insensitivity' ? [`    and in the order ${order}`] : []),
    `  Again: checkLaws({ …, laws: ['${law}'], seed: ${seed}, path: '${path}' })`,
  ];
  return lines.join('\n');
}

function recordText({ topic, key, value, timestampMs, spread }: CaseRecord): string {
  const place = key === null ? `, partition drawn as ${spread}` : '';
  return `${topic}: ${said(key)} = ${said(value)}, time ${timestampMs}${place}`;
}
