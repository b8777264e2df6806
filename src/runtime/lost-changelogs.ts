/**
 * Changelogs that do not exist at start although the application has run.
 *
 * A first start creates its changelogs. The same done for one that was deleted would have its tasks
 * go on from their committed offsets over an empty store: wrong results without a word.
 *
 * I1. The order of the questions: offsets, then the controller. Another instance that starts for the
 *     first time at the same moment creates the changelogs before it commits its first offset; so
 *     whoever has seen such an offset finds the changelogs at the controller, whatever the metadata
 *     of its broker says.
 */
import type { Options } from '../config/options.ts';
import { EscapementError } from '../errors.ts';
import type { TopicSpec } from '../kafka/admin/topic-settings.ts';
import { absentTopics } from '../kafka/admin/topics.ts';
import type { Cluster } from '../kafka/cluster/cluster.ts';
import { fetchOffsets, isUnstable } from '../kafka/group/offsets.ts';
import { partitionName, type TopicPartition } from '../kafka/topic-partition.ts';
import type { Topology } from '../topology/node.ts';
import { storeOf } from '../topology/sub-topologies.ts';
import type { ChangelogPlan, TaskPlan } from './task-plan.ts';

const NAMED_MAX = 8;

/** Throws `CHANGELOG_MISSING` when one of the topics that are about to be created was deleted. */
export async function refuseLostChangelogs(
  cluster: Cluster,
  { applicationId, newStores }: Pick<Options, 'applicationId' | 'newStores'>,
  tasks: readonly TaskPlan[],
  missing: readonly TopicSpec[],
): Promise<void> {
  const names = new Set(missing.map(({ name }) => name));
  const isAsked = ({ topic, store }: ChangelogPlan) =>
    names.has(topic) && !newStores.includes(store);
  const asked = tasks.filter(({ changelogs }) => changelogs.some(isAsked));
  if (asked.length === 0) return;
  const inputs = asked.flatMap((task) => task.inputs);
  const committed = await committedOf(cluster, applicationId, inputs);
  const isCommitted = (input: TopicPartition) => committed.has(partitionName(input));
  const hasRun = asked.filter((task) => task.inputs.some(isCommitted));
  const suspects = new Set(
    hasRun.flatMap(({ changelogs }) => changelogs.filter(isAsked).map(({ topic }) => topic)),
  );
  if (suspects.size === 0) return;
  // I1.
  const absent = await absentTopics(
    cluster,
    missing.filter(({ name }) => suspects.has(name)),
  );
  const [first] = absent;
  if (first === undefined) return;
  const owners = hasRun.filter(({ changelogs }) => changelogs.some(({ topic }) => topic === first));
  const read = owners.flatMap((task) => task.inputs.filter(isCommitted));
  throw lostChangelog(applicationId, absent, read);
}

/** Throws `OPTION_INVALID` when a name in `newStores` is that of no store. */
export function checkNewStores(
  topology: Topology,
  { newStores }: Pick<Options, 'newStores'>,
): void {
  const stores = new Set(topology.nodes.map(storeOf).filter((store) => store !== null));
  const unknown = newStores.filter((name) => !stores.has(name));
  if (unknown.length === 0) return;
  throw new EscapementError(
    'OPTION_INVALID',
    `newStores names ${unknown.join(', ')}, but the stores of topology '${topology.name}' are: ` +
      `${[...stores].join(', ') || 'none'}.`,
  );
}

/** Names of the partitions that have a committed offset. */
async function committedOf(
  cluster: Cluster,
  groupId: string,
  inputs: readonly TopicPartition[],
): Promise<ReadonlySet<string>> {
  try {
    const offsets = await fetchOffsets(cluster, groupId, inputs);
    return new Set(offsets.filter(({ offset }) => offset >= 0).map(partitionName));
  } catch (cause) {
    // A transaction of the application holds some: it has run.
    if (isUnstable(cause)) return new Set(inputs.map(partitionName));
    throw cause;
  }
}

/** Of several that are missing, the first one has these inputs. */
function lostChangelog(
  groupId: string,
  [topic, ...others]: readonly string[],
  inputs: readonly TopicPartition[],
): EscapementError {
  const places = inputs.slice(0, NAMED_MAX).map(partitionName).join(', ');
  const rest = inputs.length > NAMED_MAX ? ` and ${inputs.length - NAMED_MAX} more` : '';
  const also = others.length === 0 ? '' : ` (and ${others.join(', ')})`;
  return new EscapementError(
    'CHANGELOG_MISSING',
    `The changelog ${topic}${also} does not exist, but group '${groupId}' has committed offsets of ` +
      `${places}${rest}: going on from there with an empty store would give wrong results. If this ` +
      `version adds the store, name it in the option newStores. If the topic was deleted, its state ` +
      `is lost: remove the group and the internal topics of the application, and it begins anew.`,
    { at: { topic: topic! } },
  );
}
