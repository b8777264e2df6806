/** Where every topology begins: a name, and the streams it reads. */
import { type Known, refuseUnknown } from '../config/known-options.ts';
import type { Serde } from '../serde/serde.ts';
import type { RecordPolicy, TimestampExtractor, Topology } from '../topology/node.ts';
import type { Keyed, Rec } from '../topology/record.ts';
import { buildTopology } from './build.ts';
import { Drawing } from './drawing.ts';
import type { KStream } from './k-stream.ts';
import { fail } from './policy.ts';
import { checkSerdes } from './serde-check.ts';
import { TracingStream } from './tracing-stream.ts';

export interface StreamOptions<K, V> {
  readonly key: Serde<K>;
  readonly value: Serde<V>;
  /** Event time in epoch milliseconds, 0 or more. Default: the record's timestamp. */
  readonly timestamp?: (record: Rec<K, V, Keyed>) => number;
  /**
   * What happens to a record that fails anywhere below. Default: `fail()`. Behind a `repartition`
   * without `onError` it holds as well, if all streams above that have the same one.
   */
  readonly onError?: RecordPolicy;
  /**
   * `drop` (default): a record with a null value only advances stream time. `keep`: it is passed
   * on, and values may be null.
   */
  readonly nulls?: 'drop' | 'keep';
  /**
   * What happens when the committed position is no longer in the log, because retention was faster
   * or the topic was made anew. `fail` (default): the instance stops with `OFFSET_OUT_OF_RANGE`.
   * `earliest`, `latest`: it goes on at the start or the end of the log, which leaves records out;
   * each time is logged, counted and told to the listener (`offsetReset`). A first start is always
   * at the earliest record. Java: `Consumed.withOffsetResetPolicy`.
   */
  readonly onOffsetOutOfRange?: 'fail' | 'earliest' | 'latest';
  /**
   * Names the sub-topology that reads this stream, and with it its tasks and transactional ids.
   * Default: the topic of its first stream. Keep it when streams are put in front.
   */
  readonly subTopology?: string;
}

const KNOWN: Known<StreamOptions<unknown, unknown>> = {
  key: true,
  value: true,
  timestamp: true,
  onError: true,
  nulls: true,
  onOffsetOutOfRange: true,
  subTopology: true,
};

/** Draws one topology. Every stream made by it belongs to it. Java: `StreamsBuilder`. */
export class TopologyBuilder {
  readonly #drawing: Drawing;

  constructor(name: string) {
    this.#drawing = new Drawing(name);
  }

  /** Reads a topic that exists, from this topology only once. Java: `StreamsBuilder.stream`. */
  stream<K, V>(
    topic: string,
    options: StreamOptions<K, V> & { readonly nulls: 'keep' },
  ): KStream<K, V | null, Keyed>;
  stream<K, V>(topic: string, options: StreamOptions<K, V>): KStream<K, V, Keyed>;
  stream<K, V>(topic: string, options: StreamOptions<K, V>): unknown {
    const drawing = this.#drawing;
    refuseUnknown(`stream('${topic}')`, options, KNOWN);
    const { key, value } = checkSerdes(drawing, `stream('${topic}')`, options);
    const { timestamp = null, onError = fail(), nulls = 'drop', subTopology } = options ?? {};
    const { onOffsetOutOfRange: outOfRange = 'fail' } = options ?? {};
    if (!['fail', 'earliest', 'latest'].includes(outOfRange)) {
      const choices = "'fail', 'earliest' or 'latest'";
      drawing.problem(
        `stream('${topic}')`,
        `onOffsetOutOfRange must be ${choices}, not ${outOfRange}`,
      );
    }
    if (nulls !== 'drop' && nulls !== 'keep') {
      drawing.problem(`stream('${topic}')`, `nulls must be 'drop' or 'keep', not ${nulls}`);
    }
    const node = drawing.add({
      kind: 'source',
      id: drawing.nextId('source'),
      parents: [],
      topic,
      key,
      value,
      timestamp: timestamp === null || nulls === 'keep' ? timestamp : ofValues(timestamp),
      onError,
      nulls,
      repartition: null,
      ...(outOfRange === 'fail' ? {} : { outOfRange }),
      ...(subTopology === undefined ? {} : { subTopology }),
    });
    return new TracingStream({ drawing, node, keyState: 'keyed' });
  }

  /**
   * The plain topology; `run` calls it. Throws `TOPOLOGY_INVALID` with every problem at once.
   * Java: `StreamsBuilder.build`.
   */
  build(): Topology {
    return buildTopology(this.#drawing);
  }
}

/** A record whose null will be dropped keeps its own time: the extractor was promised a value. */
function ofValues(extractor: TimestampExtractor): TimestampExtractor {
  return (record) => (record.valueStart < 0 ? record.timestamp : extractor(record));
}

/** Begins a topology. The name is shown in descriptions and errors. */
export function topology(name: string): TopologyBuilder {
  return new TopologyBuilder(name);
}
