/**
 * The records of a test once more, each through a topology that has seen no other: what comes out
 * otherwise than in the test has a memory that no store has.
 */
import { EscapementError, messageOf } from '../errors.ts';
import { calledBy } from '../topology/check.ts';
import type { Topology } from '../topology/node.ts';
import type { CalledNode, CallNotes, NotedCall } from './call-notes.ts';
import { isSame } from './same-value.ts';
import { segmentFindings } from './segment-shadow.ts';

/** What wants memory, one text for each operator, in the order of the topology. */
export function shadowRun(notes: CallNotes, rebuild: () => Topology): readonly string[] {
  const found = new Map<string, string>();
  for (const [origin, calls] of byOrigin(notes.calls)) {
    const fresh = new Map(rebuild().nodes.map((node) => [node.id, node]));
    for (const call of calls) {
      const node = fresh.get(call.node.id);
      if (found.has(call.node.id) || node?.kind !== call.node.kind) continue;
      const what = finding(call, node as CalledNode);
      if (what !== null)
        found.set(call.node.id, `${calledBy(call.node)}: ${what} (record ${origin})`);
    }
  }
  const segments = [...notes.segments.values()].flatMap((segment) => segmentFindings(segment));
  return [...found.values(), ...segments];
}

function byOrigin(calls: readonly NotedCall[]): ReadonlyMap<string, readonly NotedCall[]> {
  const groups = new Map<string, NotedCall[]>();
  for (const call of calls) groups.set(call.origin, [...(groups.get(call.origin) ?? []), call]);
  return groups;
}

function finding({ result, again }: NotedCall, fresh: CalledNode): string | null {
  let now: unknown;
  try {
    now = again(fresh);
  } catch (cause) {
    const why = messageOf(cause);
    return `its function fails without the records before: ${why}. ${MEND}`;
  }
  if (isSame(result, now)) return null;
  const kept = 'init' in fresh ? 'what it keeps belongs into its aggregate' : MEND;
  return `its function gives something else without the records before: ${kept}`;
}

const MEND =
  'it keeps something in a variable, or reads a clock: use aggregate() or count() in its place';

export function memoryError(found: readonly string[]): EscapementError {
  const listed = found.map((each) => `\n- ${each}`).join('');
  return new EscapementError(
    'MEMORY_ACROSS_RECORDS',
    `What looks as if it remembered other records:${listed}`,
  );
}
