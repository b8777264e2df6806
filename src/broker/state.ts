/** What the handlers share: one object, built by the broker, passed to every handler file. */
import type { Ports } from '../ports.ts';
import type { Groups } from './groups.ts';
import type { BrokerSettings } from './options.ts';
import type { Topics } from './topics.ts';
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
  nodes(): readonly NodeAddress[];
  /** The node that coordinates a group or a transactional id. */
  coordinatorOf(kind: 'group' | 'transaction', key: string): number;
  /** Runs `callback` after `delayMs`, unless the broker was closed before. */
  later(delayMs: number, callback: () => void): void;
}
