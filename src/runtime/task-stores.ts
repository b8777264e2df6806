/** The stores of one task: made from the sub-topology's nodes, staged and settled together. */
import { KeyValueStore } from '../state/key-value-store.ts';
import type { Restoring, Staged } from '../state/staged.ts';
import { WindowStore } from '../state/window-store.ts';
import type { WindowedAggregateNode } from '../topology/node.ts';
import { isStateful } from '../topology/sub-topologies.ts';
import { closedStart } from './processors/windowed-aggregate.ts';
import type { SubTopologyPlan } from './task-plan.ts';

export class TaskStores {
  readonly keyValue = new Map<string, KeyValueStore>();
  readonly window = new Map<string, WindowStore>();
  readonly all: readonly Staged[];
  /** Stores by the stage whose operators access them. */
  readonly byStage: readonly (readonly Staged[])[];
  readonly #windowNodes: readonly WindowedAggregateNode[];

  constructor(plan: SubTopologyPlan) {
    const byStage: Staged[][] = [];
    const windowNodes: WindowedAggregateNode[] = [];
    for (const node of plan.nodes) {
      if (!isStateful(node)) continue;
      let store: Staged;
      if (node.kind === 'aggregate') {
        store = new KeyValueStore();
        this.keyValue.set(node.store, store as KeyValueStore);
      } else {
        store = new WindowStore();
        this.window.set(node.store, store as WindowStore);
        windowNodes.push(node);
      }
      const stage = plan.stages.get(node.id) ?? 0;
      while (byStage.length <= stage) byStage.push([]);
      byStage[stage]!.push(store);
    }
    this.byStage = byStage;
    this.all = byStage.flat();
    this.#windowNodes = windowNodes;
  }

  /** The restores under way. */
  restoring(): readonly Restoring[] {
    const stores = [...this.keyValue.values(), ...this.window.values()];
    return stores.flatMap(({ restoring }) => restoring ?? []);
  }

  /** Slots up to this one are released: they are never undone alone. */
  release(slot: number): void {
    for (const store of this.all) store.release(slot);
  }

  seal(slot: number): void {
    for (const store of this.all) store.seal(slot);
  }

  /** The sealed step was committed: its writes are folded, windows past their time dropped. */
  committed(streamTime: number): void {
    for (const store of this.all) store.committed();
    this.expire(streamTime);
  }

  aborted(): void {
    for (const store of this.all) store.aborted();
  }

  /** Drops windows that closed at or before a committed stream time: no record can reach them. */
  expire(streamTime: number): void {
    for (const { store, sizeMs, graceMs } of this.#windowNodes) {
      const closed = closedStart(streamTime, sizeMs, graceMs);
      if (closed >= 0) this.window.get(store)!.expire(closed + 1);
    }
  }
}
