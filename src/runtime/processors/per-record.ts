/**
 * Operators without state: one function of the user, called for each record.
 *
 * Only that call is within `try`, which costs nothing while nothing is thrown: what operators below
 * throw has their own names in it.
 */
import type {
  FilterNode,
  FlatMapValuesNode,
  MapValuesNode,
  PeekNode,
  SelectKeyNode,
} from '../../topology/node.ts';
import type { Process } from '../context.ts';
import { noBoolean, userError, walkError } from '../operator-error.ts';

/** Nothing but true passes: a Promise, which is truthy, would pass everything on. */
export function filterProcess(node: FilterNode, next: Process): Process {
  const { test } = node;
  return (record) => {
    let passes: boolean;
    try {
      passes = test(record);
    } catch (cause) {
      throw userError(node, cause);
    }
    if (passes === true) next(record);
    else if (passes !== false) throw noBoolean(node, passes);
  };
}

export function mapValuesProcess(node: MapValuesNode, next: Process): Process {
  const { map } = node;
  return (record) => {
    let value: unknown;
    try {
      value = map(record);
    } catch (cause) {
      throw userError(node, cause);
    }
    next(record.withValue(value));
  };
}

export function flatMapValuesProcess(node: FlatMapValuesNode, next: Process): Process {
  const { map } = node;
  return (record) => {
    let values: Iterable<unknown>;
    try {
      values = map(record);
    } catch (cause) {
      throw userError(node, cause);
    }
    // Walking may be user code as well (a generator), or impossible.
    try {
      for (const value of values) next(record.withValue(value));
    } catch (cause) {
      throw walkError(node, values, cause);
    }
  };
}

export function selectKeyProcess(node: SelectKeyNode, next: Process): Process {
  const { select } = node;
  return (record) => {
    let key: unknown;
    try {
      key = select(record);
    } catch (cause) {
      throw userError(node, cause);
    }
    next(record.withKey(key));
  };
}

export function peekProcess(node: PeekNode, next: Process): Process {
  const { look } = node;
  return (record) => {
    try {
      look(record);
    } catch (cause) {
      throw userError(node, cause);
    }
    next(record);
  };
}
