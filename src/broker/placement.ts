/**
 * Which nodes are up, and which of them coordinates what (rule 17).
 *
 * Groups and transactional ids fall into 50 slots each, as into the partitions of Kafka's internal
 * topics, and a slot has one node. What a slot knows is in logs that every node has: it moves, with
 * a new epoch, and is loaded by the new node for a while.
 *
 * I1. The epoch of a slot grows with every move; markers carry it, so that what an earlier
 *     coordinator sent is known for what it is.
 * I2. A slot has a node while any node is up.
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { Clock } from '../ports.ts';

export type CoordinatorKind = 'group' | 'transaction';

export const SLOTS = 50;
const NO_NODE = -1;

interface Slot {
  node: number;
  epoch: number;
  /** Monotonic time at which its node has loaded it. */
  readyAt: number;
}

export interface Move {
  readonly kind: CoordinatorKind;
  readonly slot: number;
}

export class Placement {
  readonly #clock: Clock;
  readonly #loadMs: number;
  readonly #up: Set<number>;
  readonly #slots: Readonly<Record<CoordinatorKind, Slot[]>>;

  constructor(options: { nodes: number; loadMs: number; clock: Clock }) {
    const { nodes, loadMs, clock } = options;
    this.#clock = clock;
    this.#loadMs = loadMs;
    this.#up = new Set(Array.from({ length: nodes }, (_, id) => id));
    const slots = () =>
      Array.from({ length: SLOTS }, (_, index): Slot => {
        return { node: index % nodes, epoch: 0, readyAt: -Infinity };
      });
    this.#slots = { group: slots(), transaction: slots() };
  }

  isUp(node: number): boolean {
    return this.#up.has(node);
  }

  /** -1 when no node is up. */
  coordinatorOf(kind: CoordinatorKind, key: string): number {
    return this.#at(kind, key).node;
  }

  epochOf(kind: CoordinatorKind, key: string): number {
    return this.#at(kind, key).epoch;
  }

  /** Why `node` (or whichever it is, when absent) cannot answer for the key now; 0 if it can. */
  fault(kind: CoordinatorKind, key: string, node?: number): number {
    const slot = this.#at(kind, key);
    if (slot.node === NO_NODE) return KafkaErrorCode.COORDINATOR_NOT_AVAILABLE;
    if (node !== undefined && slot.node !== node) return KafkaErrorCode.NOT_COORDINATOR;
    return this.#clock.monotonic() < slot.readyAt
      ? KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS
      : KafkaErrorCode.NONE;
  }

  /** Moves the slot of a key to a node, the next one that is up by default. */
  move(kind: CoordinatorKind, key: string, to?: number): Move {
    const index = slotOf(key);
    const slot = this.#slots[kind][index]!;
    const up = this.#sorted();
    this.#place(slot, to ?? up.find((node) => node > slot.node) ?? up[0] ?? NO_NODE);
    return { kind, slot: index };
  }

  /** The node is gone; its slots move. */
  down(node: number): Move[] {
    this.#up.delete(node);
    return this.#movesFrom(node);
  }

  /** The node is back; it takes what nobody has. */
  up(node: number): Move[] {
    this.#up.add(node);
    return this.#movesFrom(NO_NODE);
  }

  #movesFrom(node: number): Move[] {
    const moves: Move[] = [];
    const up = this.#sorted();
    for (const kind of ['group', 'transaction'] as const) {
      this.#slots[kind].forEach((slot, index) => {
        if (slot.node !== node) return;
        this.#place(slot, up[index % up.length] ?? NO_NODE);
        moves.push({ kind, slot: index });
      });
    }
    return moves;
  }

  #place(slot: Slot, node: number): void {
    slot.node = node;
    slot.epoch += 1;
    slot.readyAt = this.#clock.monotonic() + this.#loadMs;
  }

  #sorted(): number[] {
    return [...this.#up].sort((a, b) => a - b);
  }

  #at(kind: CoordinatorKind, key: string): Slot {
    return this.#slots[kind][slotOf(key)]!;
  }
}

/** As Kafka: the hash of Java's strings, modulo the partitions of the internal topic. */
export function slotOf(key: string): number {
  let hash = 0;
  for (let index = 0; index < key.length; index++) {
    hash = (Math.imul(hash, 31) + key.charCodeAt(index)) | 0;
  }
  return (hash & 0x7fff_ffff) % SLOTS;
}
