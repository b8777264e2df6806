/**
 * Every error that escapement raises: one base class, a closed set of codes, one table.
 *
 * Errors are decisions: `decision` says what the runtime does about it. Match by `code`, never by
 * text. `docs/errors.md` is proven against this table by a test.
 */

/** What the runtime does about an error; `src/transaction/decide.ts` refines it by where it happened. */
export type Decision =
  /** A definite answer came and nothing is in flight: send the same request again. */
  | 'retry'
  /** The fate of a transactional request is unknown: read the committed step id and decide. */
  | 'indefinite'
  /** Abort the transaction, undo the staged state, process the records again. */
  | 'abort'
  /** The producer epoch is no longer ours: check ownership, then initialise again or let go. */
  | 'fenced'
  /** One record is at fault: its source's policy applies. */
  | 'record'
  /** The task is not ours any more: drop its staged state, commit nothing. */
  | 'lost'
  /** The instance stops and says why. */
  | 'stop';

interface ErrorEntry {
  readonly meaning: string;
  readonly decision: Decision;
  readonly mend: string;
}

export const ERRORS = {
  BROKER_ERROR: {
    meaning: 'A broker answered with a Kafka error code; `kafkaCode` and `kafkaName` hold it.',
    decision: 'stop',
    mend: 'Look the Kafka error up by its name; the decision on the error is taken per code.',
  },
  CONNECTION_FAILED: {
    meaning: 'No connection to a broker could be made; the request was never sent.',
    decision: 'retry',
    mend: 'Check the broker address, TLS and SASL settings, and that the broker runs.',
  },
  AUTHENTICATION_FAILED: {
    meaning: 'The broker refused who we say we are, or there was nothing to say.',
    decision: 'stop',
    mend: 'Check mechanism, user name, password or token of the kafkajs option `sasl`.',
  },
  TLS_FAILED: {
    meaning: 'A TLS connection was refused: by us for its certificate, or by the broker for ours.',
    decision: 'stop',
    mend: 'Check `ca`, `cert` and `key` of the kafkajs option `ssl`, and the certificate named.',
  },
  CRASH_TEST_FAILED: {
    meaning: 'A run of `crashTest` left something else than an undisturbed run.',
    decision: 'stop',
    mend: 'The message names the step, the fault and what differed; look for effects outside the slot.',
  },
  REPLAY_DIFFERS: {
    meaning: 'A test, replayed with other commits and crashes, wrote something else.',
    decision: 'stop',
    mend: 'The message names the pattern and the first record; look for state outside the stores.',
  },
  LAW_BROKEN: {
    meaning: 'A law of `checkLaws` does not hold for a topology.',
    decision: 'stop',
    mend: 'The message names the law, the least input that breaks it, and how to run that again.',
  },
  MEMORY_ACROSS_RECORDS: {
    meaning: 'In a test, an operator made something else of records that it saw one by one.',
    decision: 'stop',
    mend: 'The message names it, and the durable operator that takes its place.',
  },
  TEST_DRIVER_BUSY: {
    meaning: 'A `TestDriver` was read while asynchronous work of its topology was under way.',
    decision: 'stop',
    mend: '`await driver.idle()` before reading; `advance` lets time limits expire.',
  },
  TEST_DRIVER_ENDLESS: {
    meaning: 'In a `TestDriver`, one step of the test caused more records than `causedRecordsMax`.',
    decision: 'stop',
    mend: 'The message names the topics that feed each other: write to one that is not read.',
  },
  REQUEST_FATE_UNKNOWN: {
    meaning: 'A request timed out or its connection was lost after it may have been sent.',
    decision: 'indefinite',
    mend: 'Nothing: the runtime reads what was committed and goes on. Repeated: check the network.',
  },
  BROKER_TOO_OLD: {
    meaning: 'The broker does not offer an API in a version that escapement speaks.',
    decision: 'stop',
    mend: 'Use a Kafka broker from 3.3 to 4.3.',
  },
  PROTOCOL_MALFORMED: {
    meaning: 'Bytes of a message do not follow the Kafka protocol.',
    decision: 'stop',
    mend: 'Check that the address is a Kafka listener of the expected security protocol.',
  },
  BATCH_CORRUPT: {
    meaning: 'A record batch failed its CRC-32C or its bounds.',
    decision: 'stop',
    mend: 'Check the broker disk and the network; the record is never skipped by policy.',
  },
  COMPRESSION_UNSUPPORTED: {
    meaning: 'A record batch is compressed with a codec that is not available here.',
    decision: 'stop',
    mend: 'Write the topic with gzip, snappy, lz4, zstd, or uncompressed.',
  },
  OPTION_INVALID: {
    meaning: 'An option is unknown, missing or out of its range.',
    decision: 'stop',
    mend: 'The message lists every problem with the allowed range; see docs/options.md.',
  },
  TOPOLOGY_INVALID: {
    meaning: 'The topology cannot run: a name, a key change or a connection is wrong.',
    decision: 'stop',
    mend: 'The message names the operator and what it needs.',
  },
  TOPIC_MISMATCH: {
    meaning:
      'A topic is missing, or its partitions or settings differ from what the topology needs.',
    decision: 'stop',
    mend: 'The message names the topic, what was found and what is needed.',
  },
  KAFKAJS_SHAPE: {
    meaning: 'kafkajs does not have the internal shape that the transport relies on.',
    decision: 'stop',
    mend: 'Install kafkajs 2.2.4 exactly.',
  },
  RECORD_UNDECODABLE: {
    meaning: 'The key or value of a record that came in could not be decoded.',
    decision: 'record',
    mend: 'Fix the producer, or set `onError` of the stream or repartition named to skip or dead-letter.',
  },
  RECORD_FAILED: {
    meaning:
      'User code threw while processing a record, or returned what its operator cannot take.',
    decision: 'record',
    mend: 'The message names the operator, the coordinates the record; the cause is what was thrown.',
  },
  RECORD_TIMEOUT: {
    meaning: 'Asynchronous work of a record did not finish within its time limit.',
    decision: 'record',
    mend: 'Mend the call, or raise `timeoutMs` of the operator, for which later records of the task wait.',
  },
  RECORD_TOO_LARGE: {
    meaning: 'A result is larger than the broker accepts in one batch.',
    decision: 'record',
    mend: 'Make the value smaller or raise max.message.bytes of the topic.',
  },
  TIMESTAMP_INVALID: {
    meaning: 'A record has a negative or unusable timestamp.',
    decision: 'record',
    mend: 'Give the stream a `timestamp` extractor, or set its `onError`.',
  },
  SERDE_FAILED: {
    meaning:
      'A key or value could not be written as bytes (by an output, a repartition or a store), or read.',
    decision: 'record',
    mend: 'The message names the operator, whether key or value, and what does not fit the serde.',
  },
  REGISTRY_UNAVAILABLE: {
    meaning: 'The schema registry did not answer or answered with a server error.',
    decision: 'retry',
    mend: 'Check the registry URL and that the registry runs.',
  },
  SCHEMA_UNKNOWN: {
    meaning: 'The registry does not know a schema id or subject.',
    decision: 'record',
    mend: 'Register the schema, or check that the topic belongs to this registry.',
  },
  SCHEMA_INCOMPATIBLE: {
    meaning: 'A writer schema cannot be read with the reader schema of the topology.',
    decision: 'stop',
    mend: 'The message names both schemas; evolve the reader so that it reads both.',
  },
  OFFSET_MISSING: {
    meaning: 'A partition has no committed offset although its task has run before.',
    decision: 'stop',
    mend: 'Offsets expired or were deleted: reset the application or restore the group offsets.',
  },
  OFFSET_OUT_OF_RANGE: {
    meaning: 'The committed offset of a partition is no longer in the log.',
    decision: 'stop',
    mend: 'Retention removed unread records: decide where to go on and set the group offset.',
  },
  CHANGELOG_MISSING: {
    meaning: 'A changelog does not exist although its application has run before.',
    decision: 'stop',
    mend: 'New store: name it in `newStores`. Deleted topic: see "Topics that are gone" in docs/operating.md.',
  },
  CHANGELOG_HELD: {
    meaning: 'A foreign transaction stays open on a changelog partition, so restore cannot finish.',
    decision: 'stop',
    mend: 'End the named producer id: kafka-transactions.sh, abort.',
  },
  OFFSETS_HELD: {
    meaning: 'A transaction that nobody ends holds the committed offsets of a task.',
    decision: 'stop',
    mend: 'End the hanging transaction: see "Transactions that hang" in docs/operating.md.',
  },
  CHANGELOG_CORRUPT: {
    meaning: 'A changelog record does not have the layout of its store.',
    decision: 'stop',
    mend: 'Another application wrote into the changelog topic, or the store changed its type.',
  },
  STORE_TOO_LARGE: {
    meaning: 'A store partition needs more memory than its table can address (32 GiB).',
    decision: 'stop',
    mend: 'Use more partitions for the input, or shorter windows, so that each holds fewer rows.',
  },
  TASK_FENCED: {
    meaning: 'Another owner initialised the transactional id of a task.',
    decision: 'fenced',
    mend: 'Normal after a pause or a rebalance; repeated: two applications share one id.',
  },
  TASK_LOST: {
    meaning: 'The task belongs to another instance now.',
    decision: 'lost',
    mend: 'Normal after a pause or a rebalance.',
  },
  INSTANCE_FENCED: {
    meaning: 'Another process joined the group with the same instance id.',
    decision: 'stop',
    mend: 'Give each running instance its own `instanceId`.',
  },
  GROUP_ACTIVE: {
    meaning: 'A group has members, so its offsets cannot be changed from outside.',
    decision: 'stop',
    mend: 'Stop all instances of the application, or wait until their sessions end.',
  },
  TRANSACTION_UNKNOWN: {
    meaning: 'There is no transaction such as was named.',
    decision: 'stop',
    mend: 'List the transactions again: it may have ended meanwhile.',
  },
  NOT_AUTHORIZED: {
    meaning: 'The broker refused a request for lack of a right.',
    decision: 'stop',
    mend: 'Grant the right named in the message.',
  },
  METADATA_TOO_LARGE: {
    meaning: 'The offset metadata of a step exceeds what the broker accepts.',
    decision: 'stop',
    mend: 'Raise offset.metadata.max.bytes on the broker or use fewer time-keeping operators.',
  },
  GROUP_METADATA_TOO_LARGE: {
    meaning: 'What an instance has to tell its group exceeds 64 kB.',
    decision: 'stop',
    mend: 'Run more instances, so that each has fewer tasks, or use fewer schemas and sub-topologies.',
  },
  INVARIANT_VIOLATED: {
    meaning: 'An assertion inside escapement failed; the task stopped before its commit.',
    decision: 'stop',
    mend: 'This is a defect: report it with the message.',
  },
  CLOSED: {
    meaning: 'The object was used after it was closed.',
    decision: 'stop',
    mend: 'Create a new one.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** Where it happened. */
export interface Coordinates {
  readonly task?: string;
  readonly node?: string;
  readonly topic?: string;
  readonly partition?: number;
  readonly offset?: number;
}

export interface ErrorOptions {
  readonly cause?: unknown;
  readonly at?: Coordinates;
  /** Overrides the table's decision, for codes whose meaning depends on a broker's answer. */
  readonly decision?: Decision;
}

export class EscapementError extends Error {
  override readonly name: string = 'EscapementError';
  readonly code: ErrorCode;
  readonly decision: Decision;
  readonly at: Coordinates;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(printable(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.decision = options.decision ?? ERRORS[code].decision;
    this.at = options.at ?? {};
  }
}

/** C0 and C1 controls but the line feed, line and paragraph separators, marks that turn text around. */
const UNPRINTABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const USER_IN_URL = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@'"]+@/gi;

/**
 * Text that may hold what somebody else wrote (names, broker messages, user errors), fit for a log
 * and a terminal: no control character survives, no line of it can pass for a line of the log, and
 * the user and password of a URL are left out.
 */
export function printable(text: string): string {
  return text
    .replace(UNPRINTABLE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .replace(/\n(?! {2})/g, '\n  ')
    .replace(USER_IN_URL, '$1[redacted]@');
}

/** Throws `INVARIANT_VIOLATED` (or `code`) with the values when the condition does not hold. */
export function invariant(
  condition: unknown,
  what: string,
  values: Readonly<Record<string, unknown>> = {},
): asserts condition {
  if (condition) return;
  const shown = Object.entries(values)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(' ');
  throw new EscapementError('INVARIANT_VIOLATED', shown === '' ? what : `${what}: ${shown}`);
}

/**
 * A foreign error fit to be a `cause`: name, message, code and stack. Its other properties stay
 * behind: those of HTTP clients hold requests with their addresses and headers.
 */
export function bareError(error: unknown, hide: (text: string) => string = printable): Error {
  if (!(error instanceof Error)) return new Error(hide(String(error)));
  const bare = new Error(hide(error.message));
  bare.name = error.name;
  bare.stack = hide(error.stack ?? '');
  const { code } = error as { code?: unknown };
  if (typeof code === 'string' || typeof code === 'number') Object.assign(bare, { code });
  return bare;
}

/** What something that was thrown says. */
export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** What somebody else threw, as one of ours: a defect, unless it is one already. */
export function asEscapementError(cause: unknown): EscapementError {
  if (cause instanceof EscapementError) return cause;
  const message = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  return new EscapementError('INVARIANT_VIOLATED', message, { cause });
}
