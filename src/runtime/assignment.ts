/**
 * How a task becomes ours: fence, read, restore, in this order and no other.
 *
 * 1. (the group member: JoinGroup, SyncGroup, heartbeats)
 * 2. A fresh heartbeat, then InitProducerId: older epochs are fenced and the previous owner's
 *    transaction is finished, its markers written.
 * 3. The committed offsets, stable ones. Read before 2, they could miss the previous owner's last
 *    step, and its records would be counted twice.
 * 4. The end of each changelog: last stable offset and high watermark from one answer. A changelog
 *    has one writer, so after 2 they are equal; if not, a foreign transaction holds it, and what it
 *    hides would be missing from the state. Never restore to the last stable offset.
 * 5. Restore to that end.
 * 6. Still the owner, without a gap since 2? Only then are the inputs fetched.
 */
import type { Options } from '../config/options.ts';
import { EscapementError } from '../errors.ts';
import { listOffsets } from '../kafka/admin/topics.ts';
import type { Cluster } from '../kafka/cluster/cluster.ts';
import { endOffsets } from '../kafka/fetch/end-offsets.ts';
import { isOutOfRange } from '../kafka/fetch/partition-feed.ts';
import { type CommittedOffset, fetchOffsets, isUnstable } from '../kafka/group/offsets.ts';
import type { TransactionalSession } from '../kafka/producer/session.ts';
import type { TopicPartition } from '../kafka/topic-partition.ts';
import type { Ports } from '../ports.ts';
import type { Serde } from '../serde/serde.ts';
import type { KeyValueStore } from '../state/key-value-store.ts';
import { restoreStore } from '../state/restore.ts';
import type { WindowStore } from '../state/window-store.ts';
import { isStateful } from '../topology/sub-topologies.ts';
import { encodeMetadata, type StepIds, TIME_UNKNOWN } from '../transaction/step-id.ts';
import { type Committed, committedFrom } from './committed.ts';
import type { GroupPort } from './group-port.ts';
import { heldChangelog, heldOffsets } from './held.ts';
import type { RuntimeListener } from './listener.ts';
import type { ChangelogPlan, SubTopologyPlan, TaskPlan } from './task-plan.ts';
import type { TaskStores } from './task-stores.ts';

export interface AssignmentParts {
  readonly plan: TaskPlan;
  readonly subTopology: SubTopologyPlan;
  readonly stores: TaskStores;
  readonly session: TransactionalSession;
  readonly stepIds: StepIds;
  readonly group: GroupPort;
  readonly cluster: Cluster;
  readonly options: Options;
  readonly ports: Ports;
  readonly listener: RuntimeListener;
}

/** Least pause between two looks at a changelog that a transaction holds. */
const HELD_RETRY_MS = 100;

/** Steps 2 to 6. Returns the committed point to go on from; rejects with `TASK_LOST` when not ours. */
export async function assignTask(parts: AssignmentParts): Promise<Committed> {
  const { generation } = parts.group;
  let committed = await fenceAndRead(parts);
  const ends = await Promise.all(
    parts.plan.changelogs.map((changelog) => changelogEnd(parts, changelog)),
  );
  if (committed.offsets.some((offset) => offset < 0)) {
    refuseMissingOffsets(parts.plan, committed, ends);
    committed = await commitFirstOffsets(parts, committed);
  }
  await Promise.all(
    parts.plan.changelogs.map((changelog, i) => restore(parts, changelog, ends[i]!)),
  );
  parts.stores.expire(Math.max(...committed.times));
  await stillOwner(parts, generation);
  return committed;
}

/** Steps 2 and 3; also what decides after an indefinite answer. */
export async function fenceAndRead(
  parts: Pick<AssignmentParts, 'plan' | 'session' | 'group' | 'cluster' | 'options'>,
): Promise<Committed> {
  const { plan, session, group } = parts;
  await group.heartbeat();
  await session.init();
  const fetched = await stableOffsets(parts);
  return committedFrom(plan.inputs, fetched);
}

/** Rejects with `OFFSETS_HELD` when a transaction holds them that does not end. */
async function stableOffsets({
  plan,
  cluster,
  options,
}: Pick<AssignmentParts, 'plan' | 'cluster' | 'options'>): Promise<CommittedOffset[]> {
  try {
    return await fetchOffsets(cluster, options.applicationId, plan.inputs);
  } catch (cause) {
    throw isUnstable(cause) ? heldOffsets(plan, options.applicationId, cause) : cause;
  }
}

/** Step 6, and the last word before anything becomes visible after a recovery. */
export async function stillOwner(
  parts: Pick<AssignmentParts, 'plan' | 'group'>,
  generation: number,
): Promise<void> {
  await parts.group.heartbeat();
  if (parts.group.ownedSince(parts.plan.id, generation)) return;
  throw new EscapementError('TASK_LOST', `Task ${parts.plan.id} belongs to another instance now.`, {
    at: { task: parts.plan.id },
  });
}

interface ChangelogEnd {
  readonly from: number;
  readonly to: number;
}

/** Step 4. */
async function changelogEnd(parts: AssignmentParts, changelog: TopicPartition) {
  const { cluster, options, ports, plan } = parts;
  const { topic, partition } = changelog;
  let heldSince: number | null = null;
  for (;;) {
    const ends = await endOffsets(cluster, topic, partition);
    if (ends.lastStableOffset === ends.highWatermark) {
      return { from: ends.logStartOffset, to: ends.highWatermark };
    }
    heldSince ??= ports.clock.monotonic();
    if (ports.clock.monotonic() - heldSince >= options.transactionTimeoutMs) {
      throw await heldChangelog(cluster, plan.id, changelog, ends);
    }
    await ports.timers.sleep(HELD_RETRY_MS);
  }
}

/** Step 5 for one changelog. */
async function restore(
  parts: AssignmentParts,
  changelog: ChangelogPlan,
  { from, to }: ChangelogEnd,
): Promise<void> {
  const { stores, cluster, listener, plan } = parts;
  const { topic, partition } = changelog;
  const store = stores.keyValue.get(changelog.store) ?? stores.window.get(changelog.store)!;
  const owner = ownerOf(parts.subTopology, changelog.store);
  const { partitionTrailerBytes = 0 } = owner.key as Serde<unknown>;
  listener.restoreStarted?.({ task: plan.id, topic, partition, from, to });
  const range = { topic, partition, from, to, partitionTrailerBytes };
  const { decompressedBytesMax } = parts.options;
  const { restored } = await restoreStore({ store, cluster, decompressedBytesMax, ...range }).catch(
    async (cause: unknown) => {
      throw await expiredOr(cause, cluster, range);
    },
  );
  await prepareSchemas(store, owner.value, changelog);
  listener.restoreEnded?.({ task: plan.id, topic, partition, restored });
}

/**
 * Retention may remove the first rows of a changelog of windows after its ends were read: those have
 * expired, and all of it is restored again from what is now its start. Anything else stays what it is.
 */
async function expiredOr(
  cause: unknown,
  cluster: Cluster,
  { topic, partition, from }: TopicPartition & { readonly from: number },
): Promise<unknown> {
  if (!isOutOfRange(cause)) return cause;
  const start = await listOffsets(cluster, topic, partition, 'earliest');
  if (start <= from) return cause;
  return new EscapementError(
    'OFFSET_OUT_OF_RANGE',
    `The changelog ${topic}-${partition} was read from ${from}, but begins at ${start} by now.`,
    { cause, decision: 'retry', at: { topic, partition, offset: from } },
  );
}

/** The operator that a store belongs to. */
export function ownerOf(subTopology: SubTopologyPlan, store: string) {
  for (const node of subTopology.nodes) {
    if (isStateful(node) && node.store === store) return node;
  }
  throw new EscapementError('INVARIANT_VIOLATED', `No operator owns the store ${store}.`);
}

/** State written under other schemas must be readable before the task is live, not within a step. */
export async function prepareSchemas(
  store: KeyValueStore | WindowStore,
  serde: Serde<unknown>,
  changelog: TopicPartition,
): Promise<void> {
  const { schemas } = serde;
  if (schemas === undefined) return;
  const ids = new Set<number>();
  store.visitValues((buffer, start, end) => {
    const id = schemas.idOf(buffer, start, end);
    if (id >= 0) ids.add(id);
  });
  const missing = [...ids].filter((id) => !schemas.isReady(id));
  if (missing.length > 0) await schemas.prepare(missing);
  for (const id of ids) {
    const problem = schemas.problemOf?.(id);
    if (problem == null) continue;
    const { topic, partition } = changelog;
    throw new EscapementError(
      'SCHEMA_INCOMPATIBLE',
      `State in ${topic}-${partition} was written with schema ${id}, which this application ` +
        `cannot read: ${problem.message}`,
      { cause: problem, decision: 'stop', at: { topic, partition } },
    );
  }
}

/**
 * A partition without a committed offset is new, or its offset is gone. Taken for new although the
 * task has run, every record still in the log would be processed twice.
 */
function refuseMissingOffsets(
  plan: TaskPlan,
  committed: Committed,
  ends: readonly ChangelogEnd[],
): void {
  const hasRun = ends.some(({ to }) => to > 0) || committed.offsets.some((offset) => offset >= 0);
  if (!hasRun) return;
  const missing = plan.inputs.filter((_, i) => committed.offsets[i]! < 0);
  const names = missing.map(({ topic, partition }) => `${topic}-${partition}`).join(', ');
  throw new EscapementError(
    'OFFSET_MISSING',
    `Task ${plan.id} has run before, but ${names} has no committed offset (offsets expire after ` +
      `offsets.retention.minutes without members): set the group's offsets by hand, or reset the ` +
      `application together with its changelog topics.`,
    { at: { task: plan.id, ...missing[0] } },
  );
}

/** A first start: the reset position is committed before the first fetch, with a step id of its own. */
async function commitFirstOffsets(
  parts: AssignmentParts,
  committed: Committed,
): Promise<Committed> {
  const { plan, cluster, session, stepIds, options, group } = parts;
  const offsets = await Promise.all(
    plan.inputs.map(({ topic, partition }) => listOffsets(cluster, topic, partition, 'earliest')),
  );
  const first: Committed = {
    stepId: stepIds.next(),
    offsets,
    times: committed.times.map(() => TIME_UNKNOWN),
  };
  const metadata = encodeMetadata(
    { stepId: first.stepId, partitionTime: TIME_UNKNOWN },
    options.offsetMetadataBytesMax,
  );
  const step = {
    outputs: [],
    offsets: {
      groupId: options.applicationId,
      membership: () => group.membership(),
      proof: () => group.proof(),
      partitions: plan.inputs.map(({ topic, partition }, i) => ({
        topic,
        partition,
        offset: offsets[i]!,
        metadata,
      })),
    },
  };
  await group.step(() => session.commit(step));
  return first;
}
