/** A task's id, `<sub-topology>_<partition>`, taken apart, and an order of such ids. */

export interface TaskName {
  readonly subTopology: string;
  /** -1: the id has none. */
  readonly partition: number;
}

export function taskName(id: string): TaskName {
  const cut = id.lastIndexOf('_');
  const number = id.slice(cut + 1);
  if (cut < 0 || !/^\d{1,9}$/.test(number)) return { subTopology: id, partition: -1 };
  return { subTopology: id.slice(0, cut), partition: Number(number) };
}

export function taskId(subTopology: string, partition: number): string {
  return partition < 0 ? subTopology : `${subTopology}_${partition}`;
}

/** By sub-topology, then by partition as a number. */
export function byName(a: string, b: string): number {
  const one = taskName(a);
  const other = taskName(b);
  return (
    compare(one.subTopology, other.subTopology) || one.partition - other.partition || compare(a, b)
  );
}

/** By code unit: the same on every machine, which `localeCompare` is not. */
export function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
