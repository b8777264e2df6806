/** The second door: what tests of applications need. Nobody runs any of this in production. */
export { Broker } from './broker/broker.ts';
export { brokerTransport, type InProcessOptions } from './broker/in-process.ts';
export type { BrokerOptions } from './broker/options.ts';
export type { Replication } from './broker/partition.ts';
export type { CoordinatorKind } from './broker/placement.ts';
export { type Listener, type ListenOptions, listen } from './broker/tcp.ts';
export type { Participant, TransactionState } from './broker/transaction-state.ts';
export type { TransactionView } from './broker/transactions.ts';
export {
  type Fault,
  type FaultPlan,
  FaultyTransport,
  type PlannedFault,
  planOf,
} from './kafka/transport/faulty.ts';
export { type Clock, type Ports, systemPorts, type Timers } from './ports.ts';
export type {
  CrashTestInput,
  CrashTestOptions,
  ExpectedRecords,
} from './simulation/crash-options.ts';
export type { CrashTestGrid } from './simulation/crash-report.ts';
export { type CrashTestReport, crashTest } from './simulation/crash-test.ts';
export { drawFaults, type FaultRates, NO_FAULTS } from './simulation/faults.ts';
export type { CommittedRecord, PartitionView } from './simulation/oracle/committed-log.ts';
export type { Input, Model, Outcome, Source, Written } from './simulation/oracle/evidence.ts';
export { type RawBatch, type RawRecord, rawBatches } from './simulation/oracle/raw-batches.ts';
export type { Scenario } from './simulation/scenario.ts';
export {
  type SimulationOptions,
  type SimulationResult,
  simulate,
} from './simulation/simulation.ts';
export type { UserCode, Workload } from './simulation/workload.ts';
export type { TestDriverOptions } from './testing/driven.ts';
export { marbles, type TimedRecord } from './testing/marbles.ts';
export { roundTrip, type TopicSerdes } from './testing/serde-bytes.ts';
export { type PipeOptions, TestDriver, type TestInput } from './testing/test-driver.ts';
export type { OutputRecord, TestOutput } from './testing/test-output.ts';
export type { TestKeyValueStore, TestWindowStore, WindowEntry } from './testing/test-store.ts';
