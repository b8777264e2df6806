/**
 * The policy of records behind a repartition that names none of its own: that of what is above it.
 *
 * Called while a repartition is drawn, when everything above it is drawn already.
 */
import { policyProblems } from '../topology/check.ts';
import type { RecordPolicy } from '../topology/node.ts';
import type { Draft } from './drawing.ts';
import { fail } from './policy.ts';

/**
 * The policy that all sources above `node` agree on, kind and settings, else `fail`. The read side of
 * another repartition is such a source: its policy is its own or inherited already. What is wrong with
 * a policy is said at its source, once.
 */
export function inheritedPolicy(drafts: readonly Draft[], node: string): RecordPolicy {
  const [first = fail(), ...others] = policiesAbove(drafts, node);
  const isSound = policyProblems(first).every((problem) => problem === null);
  return isSound && others.every((other) => same(first, other)) ? first : fail();
}

function policiesAbove(drafts: readonly Draft[], node: string): readonly RecordPolicy[] {
  const byId = new Map(drafts.map((draft) => [draft.id, draft]));
  const above = new Set([node]);
  // Grows while it is walked.
  for (const id of above) for (const parent of byId.get(id)?.parents ?? []) above.add(parent);
  return drafts.flatMap((draft) =>
    draft.kind === 'source' && above.has(draft.id) ? [draft.onError] : [],
  );
}

function same(one: RecordPolicy, other: RecordPolicy | undefined): boolean {
  switch (one.kind) {
    case 'fail':
    case 'skip':
      return other?.kind === one.kind;
    case 'dead-letter':
      return other?.kind === 'dead-letter' && other.topic === one.topic;
    case 'retry':
      return (
        other?.kind === 'retry' && other.attempts === one.attempts && same(one.then, other.then)
      );
  }
}
