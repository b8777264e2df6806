/**
 * How people start an application: `run(topology, { kafka, applicationId })`.
 *
 * Part of the public door: it joins the runtime with the default transport, kafkajs.
 */
import { type Options, resolveOptions } from './config/options.ts';
import { codecOf } from './kafka/records/codecs.ts';
import { type KafkajsConnection, kafkajsTransport } from './kafka/transport/kafkajs.ts';
import type { Transport } from './kafka/transport/transport.ts';
import { type Ports, systemPorts } from './ports.ts';
import type { Instance } from './runtime/instance.ts';
import type { InstanceState, RuntimeListener } from './runtime/listener.ts';
import { startInstance } from './runtime/start-instance.ts';
import { type Log, printableLog, silentLog } from './telemetry/log.ts';
import type { MetricsSnapshot } from './telemetry/metrics.ts';
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
  const { kafka, log: logger, listener = {}, signals = 'handle', ports, ...rest } = given;
  const log = logger === undefined ? silentLog : printableLog(logger);
  const options = resolveOptions(rest);
  codecOf(options.compression);
  const contacts = ports ?? systemPorts;
  const built = 'build' in topology ? topology.build() : topology;
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
