/** Topics by which a topology feeds itself: what is said of a test that comes to no end. */
import { EscapementError } from '../errors.ts';
import { type ApplicationPlan, deadLetterTopics } from '../runtime/application-plan.ts';
import type { SourceNode, TopologyNode } from '../topology/node.ts';

/** Of more records than `causedRecordsMax`, `topic` has the next one. */
export function endless(
  application: ApplicationPlan,
  topic: string,
  causedRecordsMax: number,
): EscapementError {
  const writes = topicsWritten(application);
  const loops = [topic, ...writes.keys()].map((each) => loopOf(each, writes));
  const loop = loops.find((each) => each !== null);
  const count = causedRecordsMax.toLocaleString('en');
  const what = `One step of the test caused more than ${count} records that the topology reads itself`;
  const mend =
    loop === undefined
      ? ', without a loop: pipe less, or raise causedRecordsMax of the driver.'
      : `: ${loop.join(' -> ')}. Write to a topic that it does not read; when records leave the loop ` +
        `in the end, raise causedRecordsMax of the driver.`;
  return new EscapementError('TEST_DRIVER_ENDLESS', what + mend, { at: { topic } });
}

/** Whether records come back to a topic that they have been in. */
export function feedsItself(application: ApplicationPlan): boolean {
  const writes = topicsWritten(application);
  return [...writes.keys()].some((topic) => loopOf(topic, writes) !== null);
}

/** By topic: the topics that its records are written to, dead letters included. */
function topicsWritten({ subTopologies, names }: ApplicationPlan): ReadonlyMap<string, string[]> {
  const writes = new Map<string, string[]>();
  for (const { nodes } of subTopologies) {
    for (const source of nodes.filter((node) => node.kind === 'source')) {
      const writers = below(source, nodes).filter(
        ({ kind }) => kind === 'sink' || kind === 'repartition',
      );
      const topics = writers.map((node) => names.of(node));
      writes.set(names.of(source), [...topics, ...deadLetterTopics(source.onError)]);
    }
  }
  return writes;
}

function below(source: SourceNode, nodes: readonly TopologyNode[]): readonly TopologyNode[] {
  const reached = new Set([source.id]);
  // Nodes are in an order in which parents come first.
  return nodes.filter(({ id, parents }) => {
    const isBelow = parents.some((parent) => reached.has(parent));
    if (isBelow) reached.add(id);
    return isBelow;
  });
}

/** The shortest way from a topic back to it. */
function loopOf(topic: string, writes: ReadonlyMap<string, string[]>): string[] | null {
  const seen = new Set<string>();
  let ways = [[topic]];
  while (ways.length > 0) {
    const next: string[][] = [];
    for (const way of ways) {
      for (const to of writes.get(way.at(-1)!) ?? []) {
        if (to === topic) return [...way, to];
        if (!seen.has(to)) next.push([...way, to]);
        seen.add(to);
      }
    }
    ways = next;
  }
  return null;
}
