/**
 * A topology as people give it: what `topology(name)` returned, or what its `build` returned; where a
 * new one is needed for every run, a function that makes one.
 */
import { EscapementError } from '../errors.ts';
import type { Topology } from './node.ts';

/** Throws `TOPOLOGY_INVALID` for anything else, and what `build` throws. */
export function givenTopology(where: string, given: unknown): Topology {
  if (typeof given === 'function') refuse(where, 'it is a function that makes one: call it');
  if (typeof given !== 'object' || given === null) {
    const end = 'a pipeline that ends in to() returns nothing';
    refuse(where, `it is ${String(given)}: give what topology(name) returned; ${end}`);
  }
  if ('build' in given && typeof given.build === 'function') return given.build() as Topology;
  if ('nodes' in given && Array.isArray(given.nodes)) return given as Topology;
  return refuse(where, 'give what topology(name) returned, not a stream or another object');
}

/**
 * A new topology. It is made by a function because a crash takes the variables of a process with it:
 * one that was drawn once would keep, through every crash of a test, what it remembers outside its
 * stores, which is what the test looks for. Throws `OPTION_INVALID` for what is not a function.
 */
export function madeTopology(where: string, make: unknown): Topology {
  if (typeof make !== 'function') {
    const what = make === undefined ? 'missing' : 'not a function';
    throw new EscapementError(
      'OPTION_INVALID',
      `${where}: topology is ${what}. It is a function that draws a new topology for every crash and ` +
        "every run, with variables of its own: () => { const app = topology('…'); …; return app; }.",
    );
  }
  return givenTopology(`${where}: what the function topology returned`, make());
}

function refuse(where: string, why: string): never {
  throw new EscapementError('TOPOLOGY_INVALID', `${where} is not a topology: ${why}.`);
}
