/** One record as it leaves the queue: all that is needed to run it, and to run it again. */
import type { AnyRec, SourceNode } from '../topology/node.ts';
import type { Process } from './context.ts';

export interface Input {
  readonly record: AnyRec;
  readonly source: SourceNode;
  readonly process: Process;
  /** Index of the partition among the task's inputs. */
  readonly index: number;
  /** Where reading goes on after this record. */
  readonly nextOffset: number;
  /** What the source's timestamp extractor threw: the record fails with it when it runs. */
  readonly extractorFailure: unknown;
}

/** For who keeps an input beyond its run: the queue uses the same object for the next record. */
export function keptInput(input: Input): Input {
  const { record, source, process, index, nextOffset, extractorFailure } = input;
  return { record, source, process, index, nextOffset, extractorFailure };
}
