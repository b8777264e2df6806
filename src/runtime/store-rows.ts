/** Committed rows of a task's stores in the layout of its changelogs: what a reader may see. */
import { WINDOW_TRAILER_BYTES, writeWindowKey } from '../state/changelog.ts';
import type { TaskPlan } from './task-plan.ts';
import type { TaskStores } from './task-stores.ts';

export interface StoreRowsView {
  /** Topic of the changelog. */
  readonly changelog: string;
  readonly partition: number;
  /** A window store drops rows that are over; its changelog keeps them. */
  readonly kind: 'key-value' | 'window';
  /** Key and value as they stand in the changelog. */
  readonly rows: readonly (readonly [key: Buffer, value: Buffer])[];
  /** `quiet`: nothing is under way or uncommitted in the task. */
  readonly task: 'busy' | 'quiet';
}

/** Copies; the cost is that of all rows. */
export function committedRowsOf(
  plan: TaskPlan,
  stores: TaskStores,
  task: StoreRowsView['task'],
): StoreRowsView[] {
  return plan.changelogs.map(({ topic, partition, store }) => {
    const keyValue = stores.keyValue.get(store);
    const rows: [Buffer, Buffer][] = [];
    if (keyValue !== undefined) {
      for (const { key, value } of keyValue.entries('committed')) rows.push([key, value]);
    } else {
      for (const { key, windowStart, value } of stores.window.get(store)!.entries('committed')) {
        const bytes = Buffer.alloc(key.length + WINDOW_TRAILER_BYTES);
        writeWindowKey(bytes, 0, key, 0, key.length, windowStart);
        rows.push([bytes, value]);
      }
    }
    const kind = keyValue === undefined ? 'window' : 'key-value';
    return { changelog: topic, partition, kind, rows, task };
  });
}
