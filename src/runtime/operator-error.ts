/**
 * What went wrong in one operator, in the words in which its user wrote it.
 *
 * Called by processors where something was thrown, so that names cost nothing before. The record's
 * coordinates are added by `recordError`, which also lets go of the error made here: the `cause` that
 * a user sees is what was thrown.
 */
import { EscapementError, messageOf } from '../errors.ts';
import { isPromise, kindOf } from '../serde/kind-of.ts';
import type { Serde } from '../serde/serde.ts';
import { calledBy } from '../topology/check.ts';
import type { TopologyNode } from '../topology/node.ts';

/** User code of the operator threw. A record that could not be decoded, and a defect, stay what they are. */
export function userError(node: TopologyNode, cause: unknown, part?: 'timestamp'): EscapementError {
  if (cause instanceof EscapementError) {
    if (cause.decision === 'stop' || cause.code === 'RECORD_UNDECODABLE') return cause;
  }
  const who = part === undefined ? '' : `, ${part}`;
  return failedIn(node, `${who} threw: ${messageOf(cause)}`, cause);
}

/** `test` of a `filter` returned something that passes for true or false without being either. */
export function noBoolean(node: TopologyNode, result: unknown): EscapementError {
  if (isPromise(result)) return failedIn(node, ` ${PROMISED}`);
  return failedIn(node, ` must return a boolean, it returned ${kindOf(result)}`);
}

/** What was thrown while the results of `flatMapValues` were walked. */
export function walkError(node: TopologyNode, results: unknown, cause: unknown): EscapementError {
  if (isPromise(results)) return failedIn(node, ` ${PROMISED}`);
  const walked = (results as Partial<Iterable<unknown>> | null | undefined)?.[Symbol.iterator];
  if (typeof walked !== 'function') {
    return failedIn(node, ` must return an array or another iterable, not ${kindOf(results)}`);
  }
  // Of an operator below, which has its name in it.
  return cause instanceof EscapementError ? cause : userError(node, cause);
}

const PROMISED = 'returned a Promise: use mapAsync()';

/** One of the two parts of what an operator writes. */
export interface Part {
  readonly node: TopologyNode;
  readonly part: 'key' | 'value';
  readonly serde: Serde<unknown>;
  /** The operator that made it, when that is known. */
  readonly maker?: TopologyNode;
}

/** The serde of an operator refused a key or value. */
export function unwritable(of: Part, value: unknown, cause: unknown): EscapementError {
  if (cause instanceof EscapementError && cause.decision === 'stop') return cause;
  const { node, part, serde, maker } = of;
  const who = maker === undefined ? 'an operator above' : calledBy(maker);
  const what = isPromise(value) ? `${who} ${PROMISED}` : reasonOf(serde, cause);
  return serdeFailed(node, `${part}: ${what}`, cause);
}

/** The serde of an operator could not read its own store. */
export function unreadable({ node, part, serde }: Part, cause: unknown): EscapementError {
  if (cause instanceof EscapementError && cause.decision === 'stop') return cause;
  return serdeFailed(node, `${part} in its store: ${reasonOf(serde, cause)}`, cause);
}

function serdeFailed(node: TopologyNode, what: string, cause: unknown): EscapementError {
  const at = { node: node.id };
  const text = `${calledBy(node)}, ${what}`;
  // Too large, or of a schema that cannot be used: more is known than that the serde failed.
  if (cause instanceof EscapementError && cause.decision === 'record') {
    return new EscapementError(cause.code, text, { cause, at, decision: 'record' });
  }
  return new EscapementError('SERDE_FAILED', text, { cause, at });
}

/** Serdes of escapement name themselves. */
function reasonOf(serde: Serde<unknown>, cause: unknown): string {
  const message = messageOf(cause);
  return cause instanceof EscapementError ? message : `${serde.name}: ${message}`;
}

function failedIn(node: TopologyNode, what: string, cause?: unknown): EscapementError {
  const at = { node: node.id };
  return new EscapementError('RECORD_FAILED', `${calledBy(node)}${what}`, { cause, at });
}
