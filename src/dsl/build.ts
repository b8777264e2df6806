/**
 * From a finished drawing to the plain topology: consecutive stock segments become one, each is
 * probed, and every problem found so far is reported at once.
 */
import { from, type Observable } from 'rxjs';
import { EscapementError } from '../errors.ts';
import { topologyProblems } from '../topology/check.ts';
import type { AnyRec, SegmentNode, Topology } from '../topology/node.ts';
import { stages } from '../topology/stages.ts';
import { subTopologies } from '../topology/sub-topologies.ts';
import type { Draft, Drawing, SegmentDraft } from './drawing.ts';
import type { Step } from './operator.ts';
import { probeOnEmpty } from './probe.ts';

/** Throws `TOPOLOGY_INVALID` listing every problem. */
export function buildTopology(drawing: Drawing): Topology {
  const problems = [...drawing.problems];
  const nodes = fused(drawing.drafts).map((draft) => {
    if (draft.kind !== 'segment') return draft;
    return segmentNode(draft, (problem) => problems.push(problem));
  });
  const topology: Topology = { name: drawing.topology, nodes };
  problems.push(...topologyProblems(topology));
  if (problems.length === 0) problems.push(...shapeProblems(topology));
  if (problems.length > 0) {
    const listed = problems.map((problem) => `\n- ${problem}`).join('');
    throw new EscapementError(
      'TOPOLOGY_INVALID',
      `Topology '${drawing.topology}' cannot run:${listed}`,
    );
  }
  return topology;
}

function shapeProblems(topology: Topology): readonly string[] {
  const problems: string[] = [];
  collect(problems, () => {
    for (const part of subTopologies(topology)) collect(problems, () => stages(part));
  });
  return problems;
}

function collect(problems: string[], check: () => unknown): void {
  try {
    check();
  } catch (cause) {
    if (!(cause instanceof EscapementError)) throw cause;
    problems.push(cause.message);
  }
}

/**
 * Joins a segment to the one above when nothing else hangs there: the meaning is the same (the list
 * of all records goes through either way) and one subscription is saved. The joined segment has the
 * id of the last, which is what those below refer to.
 */
function fused(drafts: readonly Draft[]): readonly Draft[] {
  const childCount = new Map<string, number>();
  for (const parent of drafts.flatMap(({ parents }) => parents)) {
    childCount.set(parent, (childCount.get(parent) ?? 0) + 1);
  }
  const kept: Draft[] = [];
  const placeOf = new Map<string, number>();
  for (const draft of drafts) {
    const place = draft.kind === 'segment' ? placeOf.get(draft.parents[0]!) : undefined;
    const above = place === undefined ? undefined : kept[place];
    if (
      draft.kind === 'segment' &&
      above?.kind === 'segment' &&
      childCount.get(above.id) === 1 &&
      mayJoin(above, draft)
    ) {
      kept[place!] = joined(above, draft);
      placeOf.set(draft.id, place!);
    } else {
      placeOf.set(draft.id, kept.length);
      kept.push(draft);
    }
  }
  return kept;
}

/** A name is for errors, so what has one stays on its own. */
function mayJoin(above: SegmentDraft, below: SegmentDraft): boolean {
  return (
    !above.named &&
    !below.named &&
    above.bounds.concurrency === below.bounds.concurrency &&
    above.bounds.order === below.bounds.order &&
    above.bounds.timeoutMs === below.bounds.timeoutMs
  );
}

function joined(above: SegmentDraft, below: SegmentDraft): SegmentDraft {
  return {
    ...below,
    parents: above.parents,
    calls: [...above.calls, ...below.calls],
    steps: [...above.steps, ...below.steps],
    inner: [...above.inner, ...below.inner],
    operators: [...above.operators, ...below.operators],
  };
}

function segmentNode(draft: SegmentDraft, problem: (what: string) => void): SegmentNode {
  const { id, parents, steps, inner, operators, bounds } = draft;
  const called = calledBy(draft);
  const probe = (probed: readonly Step[]): boolean => {
    try {
      return probeOnEmpty(called, probed, bounds.timeoutMs) === 'speaks';
    } catch (cause) {
      if (!(cause instanceof EscapementError)) throw cause;
      problem(cause.message);
      return false;
    }
  };
  for (const pipeline of inner) probe(pipeline);
  const speaksOnEmpty = probe(steps);
  const subscribe = subscribes(steps);
  return { kind: 'segment', id, called, parents, ...bounds, speaksOnEmpty, subscribe, operators };
}

/** `map(), filter() of RxJS`; the user's name where there is one. */
function calledBy({ id, named, calls }: SegmentDraft): string {
  if (named) return id;
  if (calls.length === 0) return `stock operators (${id})`;
  return calls.join(', ').replaceAll(' of RxJS,', ',');
}

/**
 * The source is cold and bound to its records (`retry` subscribes again, later), and every operator
 * is applied anew, so that nothing it keeps is shared among records.
 */
function subscribes(steps: readonly Step[]): SegmentNode['subscribe'] {
  return (items, observer) => {
    let stream: Observable<unknown> = from(items);
    try {
      for (const step of steps) stream = step(stream);
    } catch (cause) {
      observer.error(cause);
      return () => {};
    }
    const subscription = stream.subscribe({
      next: (record) => observer.next(record as AnyRec),
      error: (cause: unknown) => observer.error(cause),
      complete: () => observer.complete(),
    });
    return () => subscription.unsubscribe();
  };
}
