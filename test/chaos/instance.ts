/** One process of the chaos run: `node dist/test/chaos/instance.js <options as JSON>`. */
import { appendFileSync } from 'node:fs';
import { type Application, EscapementError, type RunOptions, run } from '../../src/index.ts';
import { kafkajsTransport } from '../../src/kafka/transport/kafkajs.ts';
import { systemPorts } from '../../src/ports.ts';
import { breaks } from './broken-transport.ts';
import { APPLICATION_ID, chaosTopology } from './topology.ts';

export interface InstanceOptions {
  /** Of this process; stands in its outputs and is its client id. */
  readonly writer: string;
  readonly brokers: readonly string[];
  /** A static member; null: a dynamic one. */
  readonly instanceId: string | null;
  readonly sessionTimeoutMs: number;
  /** Log lines go to this file. */
  readonly log: string;
  /** Which rule it breaks on purpose, null: none. */
  readonly broken: string | null;
}

export type InstanceMessage =
  | { readonly kind: 'state'; readonly state: string; readonly tasks: readonly string[] }
  | { readonly kind: 'failed'; readonly code: string; readonly reason: string };

const options = JSON.parse(process.argv[2]!) as InstanceOptions;
let application: Application | null = null;

function tell(message: InstanceMessage, told?: () => void): void {
  if (process.connected) process.send!(message, undefined, undefined, () => told?.());
  else told?.();
}

// The run was killed: nobody else would end this process.
const orphaned = (): void => process.exit(1);
process.on('disconnect', orphaned);

function leave(): void {
  process.removeListener('disconnect', orphaned);
  process.disconnect?.();
}

function tellState(state: string): void {
  tell({ kind: 'state', state, tasks: application?.runningTasks ?? [] });
}

const write = (level: string) => (fields: object, event: string) =>
  appendFileSync(
    options.log,
    `${new Date().toISOString()} ${level} ${event} ${JSON.stringify(fields)}\n`,
  );

const log = {
  debug: () => {},
  info: write('info'),
  warn: write('warn'),
  error: write('error'),
};
const kafka = { clientId: options.writer, brokers: [...options.brokers] };

function connection(): RunOptions['kafka'] {
  if (options.broken === null) return kafka;
  const inner = kafkajsTransport(kafka, { ports: systemPorts, log });
  return { transport: breaks(options.broken, inner) };
}

try {
  application = await run(chaosTopology(options.writer), {
    applicationId: APPLICATION_ID,
    ...(options.instanceId === null ? {} : { instanceId: options.instanceId }),
    kafka: connection(),
    sessionTimeoutMs: options.sessionTimeoutMs,
    // Members hear of a rebalance by their heartbeats.
    heartbeatIntervalMs: Math.floor(options.sessionTimeoutMs / 12),
    // Deleted behind the readers as often as can be, so that it is part of what is tried.
    repartitionPurgeIntervalMs: 2_000,
    minInsyncReplicas: 2,
    log,
    listener: {
      stateChanged: tellState,
      taskStarted: () => tellState(application?.state ?? 'rebalancing'),
      taskClosed: () => tellState(application?.state ?? 'rebalancing'),
    },
  });
  tellState(application.state);
  await application.stopped();
  leave();
} catch (error) {
  const code = error instanceof EscapementError ? error.code : 'UNEXPECTED';
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  log.error({ code, reason }, 'ended');
  process.exitCode = 1;
  tell({ kind: 'failed', code, reason }, leave);
}
