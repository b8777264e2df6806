/** One fact about a broker, in the words of a present-tense sentence. */
import type { Stage } from './stage.ts';
import type { Target, TargetName } from './target.ts';

export interface Case {
  readonly title: string;
  readonly run: (stage: Stage) => Promise<void>;
  /** Why a target cannot run it, or null; such cases are named in the report of the target. */
  readonly unfit: (target: TargetName) => string | null;
}

export function fact(
  title: string,
  run: (stage: Stage) => Promise<void>,
  unfit: Case['unfit'] = () => null,
): Case {
  return { title, run, unfit };
}

/** Facts of transactions v2, which a broker has when its `transaction.version` is 2. */
export function factOfV2(title: string, run: (stage: Stage) => Promise<void>): Case {
  return fact(title, run, (name) =>
    name === 'embedded-tv1' || name === 'kafka-3.9.1'
      ? 'transactions v2 are not finalized on this target'
      : null,
  );
}

export type { Stage, Target };
