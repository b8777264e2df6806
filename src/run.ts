/**
 * How people start an application: `run(topology, { kafka, applicationId })`.
 *
 * Part of the public door: it joins the runtime with the default transport, kafkajs.
 */
import { type Known, listed, shown, shownKind, unknownOptions } from './config/known-options.ts';
import { type Options, resolveOptions } from './config/options.ts';
import { EscapementError } from './errors.ts';
import { codecOf } from './kafka/records/codecs.ts';
import {
  type KafkajsConnection,
  kafkajsTransport,
  kafkaProblems,
} from './kafka/transport/kafkajs.ts';
import type { Transport } from './kafka/transport/transport.ts';
import { type Ports, systemPorts } from './ports.ts';
import type { Instance } from './runtime/instance.ts';
import type { InstanceState, RuntimeListener } from './runtime/listener.ts';
import { startInstance } from './runtime/start-instance.ts';
import { type Log, logProblems, printableLog, silentLog } from './telemetry/log.ts';
import type { MetricsSnapshot } from './telemetry/metrics.ts';
import { givenTopology } from './topology/given-topology.ts';
import type { Topology } from './topology/node.ts';

export interface RunOptions extends Partial<Omit<Options, 'applicationId'>> {
  /** Names the group, the internal topics and the transactional ids. Java: `application.id`. */
  readonly applicationId: string;
  /** A kafkajs client or its configuration (brokers, TLS, SASL), or another transport. */
  readonly kafka: KafkajsConnection | { readonly transport: Transport };
  /** Any pino-shaped logger. Default: silent. Keys and values of records are never logged. */
  readonly log?: Log;
  /** Told about states, restores and tasks. */
  readonly listener?: RuntimeListener;
  /** `handle` (default): SIGTERM and SIGINT stop the application in an orderly way. */
  readonly signals?: 'handle' | 'ignore';
  /** Clock, timers and randomness; for tests. */
  readonly ports?: Ports;
}

export interface Application {
  readonly state: InstanceState;
  /** Ids of the tasks that process records here, `<sub-topology>_<partition>`. */
  readonly runningTasks: readonly string[];
  /**
   * What this instance counts, as plain numbers: names, units and meanings stand in
   * `docs/metrics.md`. Java: `KafkaStreams#metrics`.
   */
  metrics(): MetricsSnapshot;
  /** Commits what is finished, leaves the group, closes. Resolves when all is closed. */
  stop(): Promise<void>;
  /**
   * Resolves after `stop`; rejects with the `EscapementError` that ended the application. Where nobody
   * has called it by then and `run` was given neither `log` nor `listener.failed`, the error is an
   * unhandled rejection: Node prints it and ends the process with code 1.
   */
  stopped(): Promise<void>;
}

/**
 * Starts one instance of an application and resolves when it has joined its group, or was stopped
 * by a signal before that.
 *
 * Creates missing internal topics. Rejects with `OPTION_INVALID` (every problem at once),
 * `CONNECTION_FAILED`, `AUTHENTICATION_FAILED`, `TLS_FAILED`, `NOT_AUTHORIZED`, `BROKER_TOO_OLD`,
 * `TOPIC_MISMATCH`, `CHANGELOG_MISSING`, `TOPOLOGY_INVALID`, or the registry's error; nothing keeps
 * running then.
 *
 * A failure later on is told by `stopped()`, `listener.failed` and `log`; with none of the three it
 * ends the process, since an application that is silently over looks like one that has nothing to
 * do. A process that logs and must end with a code still awaits `stopped()`. Java: `new KafkaStreams(topology, config).start()`.
 */
export async function run(
  topology: Topology | { build(): Topology },
  given: RunOptions,
): Promise<Application> {
  if (typeof given !== 'object' || given === null) throw withoutOptions(given);
  const { kafka, log: logger, listener = {}, signals = 'handle', ports, ...rest } = given;
  const options = resolveOptions(rest, {
    known: OWN,
    elsewhere: ELSEWHERE,
    problems: ownProblems(given),
  });
  const log = logger === undefined ? silentLog : printableLog(logger);
  codecOf(options.compression);
  const contacts = ports ?? systemPorts;
  const built = givenTopology('The first argument of run', topology);
  const transport =
    'transport' in kafka
      ? kafka.transport
      : kafkajsTransport(kafka, { ports: contacts, log, frameBytesMax: options.frameBytesMax });
  return startInstance({
    topology: built,
    transport,
    options,
    ports: contacts,
    log,
    listener,
    created: (instance) => {
      if (signals === 'handle') stopOnSignals(instance);
      if (logger === undefined && listener.failed === undefined) instance.surfaceFailure();
    },
  });
}

const OWN = { kafka: true, log: true, listener: true, signals: true, ports: true };

const IN_KAFKA = 'it belongs into kafka: { brokers, ssl, sasl, … }';
const ELSEWHERE = {
  brokers: "brokers belongs into kafka: { brokers: ['127.0.0.1:9092'] }",
  ssl: IN_KAFKA,
  sasl: IN_KAFKA,
  clientId: IN_KAFKA,
  transport: 'it belongs into kafka: { transport }',
  groupId: 'the group is called applicationId',
  logger: 'it is called log',
};

const LISTENER: Known<RuntimeListener> = {
  stateChanged: true,
  restoreStarted: true,
  restoreEnded: true,
  offsetReset: true,
  taskStarted: true,
  taskClosed: true,
  failed: true,
};
const SIGNALS = ['handle', 'ignore'];

function withoutOptions(given: unknown): EscapementError {
  const what = given === undefined ? 'missing' : shownKind(given);
  return new EscapementError(
    'OPTION_INVALID',
    `The second argument of run is ${what}: give the options, such as ` +
      "{ applicationId: 'my-app', kafka: { brokers: ['127.0.0.1:9092'] } }.",
  );
}

/** Of what `run` takes besides `Options`. */
function ownProblems({ kafka, log, listener, signals }: RunOptions): readonly string[] {
  const problems = [...kafkaProblems(kafka), ...listenerProblems(listener)];
  if (signals !== undefined && !SIGNALS.includes(signals)) {
    problems.push(`signals must be ${listed(SIGNALS)}, not ${shown(signals)}`);
  }
  return [...problems, ...logProblems(log)];
}

function listenerProblems(listener: unknown): readonly string[] {
  if (listener === undefined) return [];
  if (typeof listener !== 'object' || listener === null) {
    return [`listener must be an object of functions, not ${shown(listener)}`];
  }
  const wrong = Object.entries(listener)
    .filter(
      ([name, value]) => name in LISTENER && value !== undefined && typeof value !== 'function',
    )
    .map(([name, value]) => `listener.${name} must be a function, not ${shown(value)}`);
  // An object of a class has fields of its own.
  const isPlain = [Object.prototype, null].includes(Object.getPrototypeOf(listener));
  const unknown = isPlain ? unknownOptions(listener, LISTENER) : [];
  return [...unknown.map((problem) => `listener: ${problem}`), ...wrong];
}

function stopOnSignals(instance: Instance): void {
  const stop = (): void => {
    void instance.stop();
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  const forget = (): void => {
    process.removeListener('SIGTERM', stop);
    process.removeListener('SIGINT', stop);
  };
  void instance.closed.then(forget);
}
