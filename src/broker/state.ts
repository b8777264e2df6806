/** What the handlers share: one object, built by the broker, passed to every handler file. */
import type { Ports } from '../ports.ts';
import type { Groups } from './groups.ts';
import type { BrokerSettings } from './options.ts';
import type { CoordinatorKind } from './placement.ts';
import type { Topics } from './topics.ts';
import type { TransactionGate } from './transaction-gate.ts';
import type { TransactionCoordinator } from './transactions.ts';

export interface NodeAddress {
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

export interface BrokerState {
  readonly settings: BrokerSettings;
  readonly ports: Ports;
  readonly clusterId: string;
  readonly topics: Topics;
  readonly groups: Groups;
  readonly transactions: TransactionCoordinator;
  /** The way to it for leaders and group coordinators. */
  readonly gate: TransactionGate;
  /** Those that are up. */
  nodes(): readonly NodeAddress[];
  isUp(node: number): boolean;
  /** The node that coordinates a group or a transactional id; -1 when none is up. */
  coordinatorOf(kind: CoordinatorKind, key: string): number;
  /** Why a node cannot answer for a group or a transactional id now: an error code, or 0. */
  coordinatorFault(kind: CoordinatorKind, key: string, node: number): number;
  /** Runs `callback` after `delayMs`, unless the broker was closed before. */
  later(delayMs: number, callback: () => void): void;
}
