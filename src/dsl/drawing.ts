/**
 * The graph while it is drawn: nodes in the order of the operators, and the problems found so far.
 *
 * Owned by a `TopologyBuilder`; every `KStream` of the topology adds to it.
 *
 * I1. A node is added after its parents.
 * I2. A mistake that leaves the graph whole is kept in `problems`, so that the user reads all of
 *     them at once; one that does not is thrown.
 */
import { EscapementError } from '../errors.ts';
import type { SegmentNode, SegmentOperator, TopologyNode } from '../topology/node.ts';
import type { AsyncBounds } from './async-options.ts';
import type { Step } from './operator.ts';

/** A stock segment before it is built: what it is made of. */
export interface SegmentDraft {
  readonly kind: 'segment';
  readonly id: string;
  /** The id is the user's name for it. */
  readonly named: boolean;
  /** What its operators are called, in their order. */
  readonly calls: readonly string[];
  readonly parents: readonly string[];
  /** Applied one after the other, anew for each record. */
  readonly steps: readonly Step[];
  /** Pipelines inside a step, which the segment's own probe does not reach. */
  readonly inner: readonly (readonly Step[])[];
  readonly operators: readonly SegmentOperator[];
  readonly bounds: AsyncBounds;
}

export type Draft = Exclude<TopologyNode, SegmentNode> | SegmentDraft;

export class Drawing {
  readonly topology: string;
  readonly #drafts: Draft[] = [];
  readonly problems: string[] = [];

  constructor(topology: string) {
    this.topology = topology;
  }

  get drafts(): readonly Draft[] {
    return this.#drafts;
  }

  /** The id that the `ahead`-next node of this kind gets; a taken-back node's id is used again. */
  nextId(kind: Draft['kind'], ahead = 0): string {
    return `${kind}-${this.#drafts.length + ahead}`;
  }

  add(draft: Draft): string {
    this.#drafts.push(draft);
    return draft.id;
  }

  /** Remembers how far the drawing is, for `since` and `takeBack`. */
  mark(): number {
    return this.#drafts.length;
  }

  since(mark: number): readonly Draft[] {
    return this.#drafts.slice(mark);
  }

  takeBack(mark: number): void {
    this.#drafts.length = mark;
  }

  problem(operator: string, what: string): void {
    this.problems.push(`${operator}: ${what}`);
  }
}

/** A mistake after which the graph cannot be drawn on. */
export function refusal(operator: string, what: string): EscapementError {
  return new EscapementError('TOPOLOGY_INVALID', `${operator}: ${what}`, {
    at: { node: operator },
  });
}
