/** `init` and `add` of an aggregation and the reading of its rows; what they throw names it. */
import type { Serde } from '../../serde/serde.ts';
import type { AnyRec } from '../../topology/node.ts';
import type { StatefulNode } from '../../topology/sub-topologies.ts';
import { unreadable, userError } from '../operator-error.ts';

export class Fold {
  readonly #node: StatefulNode;
  readonly #keySerde: Serde<unknown>;
  readonly #valueSerde: Serde<unknown>;
  readonly #init: () => unknown;
  readonly #add: (aggregate: unknown, record: AnyRec) => unknown;

  constructor(node: StatefulNode) {
    this.#node = node;
    this.#keySerde = node.key;
    this.#valueSerde = node.value;
    this.#init = node.init;
    this.#add = node.add;
  }

  /** The aggregate of a key that has no row. */
  init(): unknown {
    try {
      return this.#init();
    } catch (cause) {
      throw userError(this.#node, cause);
    }
  }

  add(aggregate: unknown, record: AnyRec): unknown {
    try {
      return this.#add(aggregate, record);
    } catch (cause) {
      throw userError(this.#node, cause);
    }
  }

  /** The key of a row. */
  key(buffer: Buffer): unknown {
    try {
      return this.#keySerde.decode(buffer, 0, buffer.length);
    } catch (cause) {
      throw unreadable({ node: this.#node, part: 'key', serde: this.#keySerde }, cause);
    }
  }

  /** The aggregate of a row. */
  value(buffer: Buffer, start: number, end: number): unknown {
    try {
      return this.#valueSerde.decode(buffer, start, end);
    } catch (cause) {
      throw unreadable({ node: this.#node, part: 'value', serde: this.#valueSerde }, cause);
    }
  }
}
