/** One billing process: `node dist/topologies/billing/instance.js --broker … --registry … `. */
import { Command } from 'commander';
import { type Application, EscapementError, run } from 'escapement';
import { addressesOf } from './bootstrap.ts';
import type { FreezeRequest, InstanceMessage } from './processes.ts';
import { registryAt } from './registry.ts';
import { billing, type UsagePosition } from './topology.ts';

/** Bills are made of events up to ten years old; the broker must keep their state as long. */
const OLDEST_USAGE_MS = 10 * 365 * 86_400_000;

/** A launcher that was killed itself kills nobody. */
const FROZEN_MS_MAX = 60_000;

const command = new Command('billing-instance')
  .description('Bills usage events from a Kafka broker until SIGTERM.')
  .requiredOption('--broker <host:port>', 'Kafka broker, or several separated by commas')
  .requiredOption('--registry <url>', 'Confluent-compatible schema registry')
  .option('--instance-id <id>', 'stable name of this process (static membership)')
  .option('--application-id <id>', 'name of the application', 'billing')
  .option('--session-timeout-ms <n>', 'session timeout of the group', Number, 10_000)
  .option('--heartbeat-interval-ms <n>', 'heartbeat interval of the group', Number, 3_000)
  .option('--on-close <policy>', 'dynamic-leave, leave or stay', 'dynamic-leave')
  .parse();
const options = command.opts<{
  broker: string;
  registry: string;
  instanceId?: string;
  applicationId: string;
  sessionTimeoutMs: number;
  heartbeatIntervalMs: number;
  onClose: 'dynamic-leave' | 'leave' | 'stay';
}>();

let application: Application | null = null;
let recordsUntilFreeze = Number.POSITIVE_INFINITY;

function tell(message: InstanceMessage, told?: () => void): void {
  if (process.send === undefined) told?.();
  else process.send(message, undefined, undefined, () => told?.());
}

/** Blocks the event loop while a record is in hand; the launcher kills what is left. */
function freeze(partition: number, offset: number): void {
  tell({ kind: 'frozen', partition, offset });
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FROZEN_MS_MAX);
  process.exit(1);
}

function tellState(state: string): void {
  tell({ kind: 'state', state, tasks: application?.runningTasks ?? [] });
}

process.on('message', (message: FreezeRequest) => {
  recordsUntilFreeze = message.afterRecords;
  tell({ kind: 'armed' });
});

// The launcher was killed: nobody else would end this process. It may die at any instruction.
const launcherGone = (): void => process.exit(1);
process.on('disconnect', launcherGone);
// It may have been killed before, while this was being loaded: then there is no such event any more.
if (process.connected === false) launcherGone();

function disconnect(): void {
  process.removeListener('disconnect', launcherGone);
  process.disconnect?.();
}

const watch = ({ partition, offset }: UsagePosition): void => {
  recordsUntilFreeze -= 1;
  if (recordsUntilFreeze === 0) freeze(partition, offset);
};
const topology = billing(registryAt(options.registry), { watch });

try {
  application = await run(topology, {
    applicationId: options.applicationId,
    ...(options.instanceId === undefined ? {} : { instanceId: options.instanceId }),
    kafka: { clientId: options.instanceId ?? 'billing', brokers: addressesOf(options.broker) },
    sessionTimeoutMs: options.sessionTimeoutMs,
    heartbeatIntervalMs: options.heartbeatIntervalMs,
    onClose: options.onClose,
    windowChangelogAdditionalRetentionMs: OLDEST_USAGE_MS,
    listener: {
      stateChanged: tellState,
      taskStarted: () => tellState(application?.state ?? 'rebalancing'),
      // A task that another instance gets may leave without a change of state here.
      taskClosed: () => tellState(application?.state ?? 'rebalancing'),
    },
  });
  tellState(application.state);
  await application.stopped();
  disconnect();
} catch (error) {
  const code = error instanceof EscapementError ? error.code : 'UNEXPECTED';
  const reason = error instanceof Error ? error.message : String(error);
  process.exitCode = 1;
  tell({ kind: 'failed', code, reason }, disconnect);
  if (process.send === undefined) console.error(`${code}: ${reason}`);
}
