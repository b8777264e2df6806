/** A topology whose serdes read back what they write, and say when it is something else. */
import { inspect } from 'node:util';
import { messageOf } from '../errors.ts';
import { isWhole } from '../serde/encode-buffer.ts';
import type { Serde } from '../serde/serde.ts';
import { isSame } from '../testing/same-value.ts';
import type { Topology } from '../topology/node.ts';

/** `report` is told what a serde wrote and read. */
export function watchedSerdes(topology: Topology, report: (what: string) => void): Topology {
  // One for each, since the runtime compares serdes by identity.
  const watched = new Map<unknown, Serde<unknown>>();
  const watch = (given: unknown): Serde<unknown> => {
    const found = watched.get(given) ?? watchedSerde(given as Serde<unknown>, report);
    watched.set(given, found);
    return found;
  };
  const nodes = topology.nodes.map((node) =>
    'key' in node ? { ...node, key: watch(node.key), value: watch(node.value) } : node,
  );
  return { ...topology, nodes };
}

function watchedSerde(serde: Serde<unknown>, report: (what: string) => void): Serde<unknown> {
  const { name, schemas, partitionTrailerBytes } = serde;
  return {
    name,
    ...(schemas === undefined ? {} : { schemas }),
    ...(partitionTrailerBytes === undefined ? {} : { partitionTrailerBytes }),
    decode: (buffer, start, end) => serde.decode(buffer, start, end),
    encode(value, buffer, at) {
      const end = serde.encode(value, buffer, at);
      if (!isWhole(end, buffer)) return end;
      try {
        const read = serde.decode(buffer, at, end);
        if (!isSame(value, read)) {
          report(`${name} wrote ${said(value)}\n  and reads it as ${said(read)}`);
        }
      } catch (cause) {
        const why = messageOf(cause);
        report(`${name} wrote ${said(value)}\n  and cannot read it: ${why}`);
      }
      return end;
    },
  };
}

/** A value in one line. */
export function said(value: unknown): string {
  return inspect(value, { depth: 6, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 80 });
}
