/**
 * Options of a running application: types, defaults, limits; everything is checked at once at start.
 *
 * No default depends silently on another. Times are milliseconds, sizes bytes.
 */
import { EscapementError } from '../errors.ts';
import { shown, unknownOptions } from './known-options.ts';

export interface Options {
  /** Names the group, internal topics and transactional ids. Java: `application.id`. Required. */
  readonly applicationId: string;
  /**
   * A stable name of this process: static membership (`group.instance.id`), so that a restarted
   * instance gets its tasks back at once. Default `null`: a dynamic member.
   */
  readonly instanceId: string | null;
  /**
   * `host:port` of this process, in what it tells the group: every member gets to know it. Escapement
   * itself serves nothing there and asks nobody yet. Default `null`: none is told. Java:
   * `application.server`.
   */
  readonly applicationServer: string | null;
  /** Upper bound of the adaptive commit policy, 1..10,000 ms. Java: `commit.interval.ms`. */
  readonly commitIntervalMs: number;
  /** Pause between the end of a transaction and the next one of the same task, 0..1,000 ms. */
  readonly commitRestMs: number;
  /** Staged bytes at which a step is committed whatever the time, 64 kB..256 MB. */
  readonly stagedBytesMax: number;
  /** Java: `transaction.timeout.ms`. 1,000..900,000 ms. */
  readonly transactionTimeoutMs: number;
  /** Java: `session.timeout.ms`. */
  readonly sessionTimeoutMs: number;
  /** Java: `heartbeat.interval.ms`; less than a third of the session timeout. */
  readonly heartbeatIntervalMs: number;
  /** Java: `max.poll.interval.ms` of the group protocol; more than the transaction timeout. */
  readonly rebalanceTimeoutMs: number;
  /** How long a revoked or closing task may take to finish its step; less than the transaction timeout. */
  readonly stopTimeoutMs: number;
  /**
   * Whether a closing instance leaves its group at once. `dynamic-leave`: without an `instanceId` it
   * leaves; with one it stays a member until its session ends, so that a restart moves no task.
   */
  readonly onClose: 'dynamic-leave' | 'leave' | 'stay';
  /** Largest output record: key, value and headers together. */
  readonly recordBytesMax: number;
  /** Encoded bytes at which a batch is closed; at most the topics' `max.message.bytes`. */
  readonly batchBytesMax: number;
  /**
   * How outputs, repartition and changelog batches are compressed: `none`, `gzip`, `snappy`, `lz4`
   * or, on Node 22.15 and later, `zstd`. Java: `compression.type`.
   */
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
  /**
   * Bytes asked of one partition in one fetch, and bytes that may wait of it before it is asked for
   * again. Java: `max.partition.fetch.bytes`.
   */
  readonly fetchBytesPerPartitionMax: number;
  /** Bytes that all partitions of the instance may hold, fetched and not processed, and ask for. */
  readonly fetchBytesMax: number;
  /** Most bytes that one compressed batch of an input or changelog may become. */
  readonly decompressedBytesMax: number;
  /** Largest answer taken from a broker; a larger one ends the connection. */
  readonly frameBytesMax: number;
  /** Most headers of a record that is looked at; more are an error of the record. */
  readonly headersMax: number;
  /** Most bytes of the headers of a record that is looked at. */
  readonly headerBytesMax: number;
  /**
   * Where this process is, so that inputs are read from a replica near it (KIP-392). Default `null`:
   * from the leaders. Java: `client.rack`.
   */
  readonly rackId: string | null;
  /** Records under way in a task with asynchronous operators. */
  readonly asyncWindowMax: number;
  /** Replication of internal topics; -1: the broker's default. Java: `replication.factor`. */
  readonly replicationFactor: number;
  /**
   * `min.insync.replicas` of internal topics; -1: the broker's default. With three copies, 2 keeps a
   * committed step through the loss of any one. Java: `topic.min.insync.replicas`.
   */
  readonly minInsyncReplicas: number;
  /**
   * Added to the retention of a window store's changelog, which the broker counts from the event
   * time to its own clock: set it to more than the age of the oldest events that are processed.
   * Java: `windowstore.changelog.additional.retention.ms`.
   */
  readonly windowChangelogAdditionalRetentionMs: number;
  /** Least pause between purges of repartition topics. Java: `repartition.purge.interval.ms`. */
  readonly repartitionPurgeIntervalMs: number;
  /**
   * Stores that this version adds to an application that has run before: their changelogs start empty
   * at the committed offsets. Without it a start with a missing changelog is refused
   * (`CHANGELOG_MISSING`). Default: none. Take it out again with the next version.
   */
  readonly newStores: readonly string[];
  /** Largest offset metadata the broker takes. Broker: `offset.metadata.max.bytes`. */
  readonly offsetMetadataBytesMax: number;
  /** Time the engine works before input and output get their turn. */
  readonly sliceMs: number;
}

export const DEFAULTS: Readonly<Omit<Options, 'applicationId'>> = Object.freeze({
  instanceId: null,
  applicationServer: null,
  commitIntervalMs: 100,
  commitRestMs: 2,
  stagedBytesMax: 8_388_608,
  transactionTimeoutMs: 10_000,
  sessionTimeoutMs: 10_000,
  heartbeatIntervalMs: 3_000,
  rebalanceTimeoutMs: 60_000,
  stopTimeoutMs: 5_000,
  onClose: 'dynamic-leave',
  recordBytesMax: 1_000_000,
  batchBytesMax: 500_000,
  compression: 'none',
  fetchBytesPerPartitionMax: 1_048_576,
  fetchBytesMax: 67_108_864,
  decompressedBytesMax: 67_108_864,
  frameBytesMax: 104_857_600,
  headersMax: 1_000,
  headerBytesMax: 65_536,
  rackId: null,
  asyncWindowMax: 1_024,
  replicationFactor: -1,
  minInsyncReplicas: -1,
  windowChangelogAdditionalRetentionMs: 86_400_000,
  repartitionPurgeIntervalMs: 30_000,
  newStores: Object.freeze([]),
  offsetMetadataBytesMax: 4_096,
  sliceMs: 10,
});

type NumericOption = {
  [Name in keyof Options]: Options[Name] extends number ? Name : never;
}[keyof Options];

/** Least and greatest value of each number, both allowed. */
export const LIMITS: Readonly<Record<NumericOption, readonly [number, number]>> = Object.freeze({
  commitIntervalMs: [1, 10_000],
  commitRestMs: [0, 1_000],
  stagedBytesMax: [65_536, 268_435_456],
  transactionTimeoutMs: [1_000, 900_000],
  sessionTimeoutMs: [1_000, 1_800_000],
  heartbeatIntervalMs: [100, 600_000],
  rebalanceTimeoutMs: [1_000, 3_600_000],
  stopTimeoutMs: [100, 900_000],
  recordBytesMax: [1_024, 104_857_600],
  batchBytesMax: [16_384, 104_857_600],
  fetchBytesPerPartitionMax: [65_536, 104_857_600],
  fetchBytesMax: [1_048_576, 4_294_967_296],
  decompressedBytesMax: [1_048_576, 1_073_741_824],
  frameBytesMax: [1_048_576, 1_073_741_824],
  headersMax: [1, 100_000],
  headerBytesMax: [1_024, 104_857_600],
  asyncWindowMax: [1, 100_000],
  replicationFactor: [-1, 100],
  minInsyncReplicas: [-1, 100],
  windowChangelogAdditionalRetentionMs: [0, 3_153_600_000_000],
  repartitionPurgeIntervalMs: [1_000, 86_400_000],
  offsetMetadataBytesMax: [128, 1_048_576],
  sliceMs: [1, 100],
});

/** Kafka's own rule for topic names (Topic.java), shortened to leave room for suffixes. */
const NAME = /^[a-zA-Z0-9._-]{1,200}$/;

/** What else there is to say of options that were given beside these. */
export interface Beside {
  /** Names that somebody may have meant. */
  readonly known: Readonly<Record<string, unknown>>;
  /** What to write instead of a name that people expect. */
  readonly elsewhere: Readonly<Record<string, string>>;
  readonly problems: readonly string[];
}

const NOTHING: Beside = { known: {}, elsewhere: {}, problems: [] };

/**
 * Fills in the defaults. Throws `OPTION_INVALID` with every problem: unknown names, values out of
 * their range, times whose order does not hold, and those `beside`.
 */
export function resolveOptions(
  given: Partial<Options> & { readonly applicationId: string },
  beside: Beside = NOTHING,
): Options {
  const known = { applicationId: true, ...DEFAULTS, ...beside.known };
  const problems = [...unknownOptions(given, known, beside.elsewhere), ...beside.problems];
  const present = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  );
  const options = { ...DEFAULTS, ...present } as Options;
  checkNames(options, problems);
  checkRanges(options, problems);
  checkOrder(options, problems);
  if (problems.length > 0) {
    throw new EscapementError('OPTION_INVALID', `Options: ${problems.join('; ')}.`);
  }
  return Object.freeze(options);
}

function checkNames(options: Options, problems: string[]): void {
  const { applicationId, instanceId, applicationServer, onClose, compression, rackId } = options;
  const newStores: unknown = options.newStores;
  const isName = (name: unknown): boolean =>
    typeof name === 'string' && NAME.test(name) && name !== '.' && name !== '..';
  if (!isName(applicationId)) {
    problems.push(`applicationId must be 1 to 200 of [a-zA-Z0-9._-], not ${shown(applicationId)}`);
  }
  if (instanceId !== null && !isName(instanceId)) {
    problems.push(`instanceId must be 1 to 200 of [a-zA-Z0-9._-], not ${shown(instanceId)}`);
  }
  if (applicationServer !== null && !isAddress(applicationServer)) {
    problems.push(`applicationServer must be 'host:port', not ${shown(applicationServer)}`);
  }
  if (!['dynamic-leave', 'leave', 'stay'].includes(onClose)) {
    problems.push(`onClose must be 'dynamic-leave', 'leave' or 'stay', not ${shown(onClose)}`);
  }
  if (!['none', 'gzip', 'snappy', 'lz4', 'zstd'].includes(compression)) {
    problems.push(
      `compression must be 'none', 'gzip', 'snappy', 'lz4' or 'zstd', not ${shown(compression)}`,
    );
  }
  if (rackId !== null && (typeof rackId !== 'string' || rackId === '' || rackId.length > 200)) {
    problems.push(`rackId must be a text of 1 to 200 characters, not ${shown(rackId)}`);
  }
  if (!Array.isArray(newStores) || newStores.some((name) => typeof name !== 'string')) {
    problems.push(`newStores must be a list of names of stores, not ${shown(newStores)}`);
  }
}

/** A name or address of at most 255 characters, IPv6 in brackets, and a port. */
function isAddress(given: unknown): boolean {
  if (typeof given !== 'string') return false;
  const [, port] =
    /^(?:[a-zA-Z0-9._-]{1,255}|\[[0-9a-fA-F:.]{2,45}\]):(\d{1,5})$/.exec(given) ?? [];
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
}

function checkRanges(options: Options, problems: string[]): void {
  for (const [name, [least, greatest]] of Object.entries(LIMITS)) {
    const value: unknown = options[name as NumericOption];
    if (!isInRange(name as NumericOption, value)) {
      problems.push(
        `${name} must be a whole number from ${least} to ${greatest}, not ${shown(value)}`,
      );
    }
  }
}

function isInRange(name: NumericOption, value: unknown): boolean {
  const [least, greatest] = LIMITS[name];
  return Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= greatest;
}

/** Of times that are in their range; the others are told already. */
function checkOrder(options: Options, problems: string[]): void {
  const order = (lesser: NumericOption, greater: NumericOption, factor = 1): void => {
    if (!isInRange(lesser, options[lesser]) || !isInRange(greater, options[greater])) return;
    if (options[lesser] * factor < options[greater]) return;
    const share = factor === 1 ? '' : ` / ${factor}`;
    problems.push(
      `${lesser} (${options[lesser]}) must be less than ${greater}${share} (${options[greater]})`,
    );
  };
  order('heartbeatIntervalMs', 'sessionTimeoutMs', 3);
  order('stopTimeoutMs', 'transactionTimeoutMs');
  order('transactionTimeoutMs', 'rebalanceTimeoutMs');
  order('commitIntervalMs', 'transactionTimeoutMs');
}
