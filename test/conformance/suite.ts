/**
 * Registers every case for one target. A case with an exception must fail: when it passes, the
 * exception is out of date and the suite says so.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MISSING_REAL, REQUIRES_REAL } from '../integration/real/parts.ts';
import type { Case } from './case.ts';
import { CASES } from './cases/all.ts';
import { EXCEPTIONS } from './exceptions.ts';
import { Stage } from './stage.ts';
import { isEmbedded, openTarget, type Target, type TargetName } from './target.ts';

/** What `scripts/conformance.mjs` counts by; carried in the report of each test. */
export interface ConformanceMeta {
  readonly target: TargetName;
  readonly kind: 'case' | 'exception' | 'not-run' | 'sequences';
  /** The real target of sequences. */
  readonly against?: TargetName;
  /** Sequences that were compared. */
  readonly sequences?: number;
  /** Titles of cases the target cannot run, with the reason. */
  readonly notRun?: readonly string[];
}

declare module 'vitest' {
  interface TaskMeta {
    conformance?: ConformanceMeta;
  }
}

/** `describe` of a target: skipped, aloud, where its real part cannot be had. */
export function describeTarget(name: TargetName, body: () => void): void {
  if (isEmbedded(name) || MISSING_REAL === null || REQUIRES_REAL) describe(name, body);
  else describe.skip(`${name} [${MISSING_REAL}]`, body);
}

export function conformance(name: TargetName): void {
  describeTarget(name, () => {
    let target: Target;
    beforeAll(async () => {
      target = await openTarget(name);
    });
    afterAll(() => target?.close());

    describe.concurrent('cases', () => {
      for (const each of CASES) {
        if (each.unfit(name) === null) register(name, each, () => target);
      }
    });

    test('every exception names a case of the suite', () => {
      const titles = CASES.map(({ title }) => title);
      expect(new Set(titles).size).toBe(titles.length);
      for (const exception of EXCEPTIONS) expect(titles).toContain(exception.case);
    });

    test('the cases that it cannot run are told with their reasons', ({ task }) => {
      const notRun = CASES.flatMap(({ title, unfit }) => {
        const reason = unfit(name);
        return reason === null ? [] : [`${title}: ${reason}`];
      });
      task.meta.conformance = { target: name, kind: 'not-run', notRun };
    });
  });
}

function register(name: TargetName, { title, run }: Case, target: () => Target): void {
  const exception = EXCEPTIONS.find((each) => each.target === name && each.case === title);
  test(title, async ({ task }) => {
    const kind = exception === undefined ? 'case' : 'exception';
    task.meta.conformance = { target: name, kind };
    const stage = await Stage.open(target());
    try {
      if (exception === undefined) return await run(stage);
      const outcome = await run(stage).then(
        () => 'agrees',
        () => 'differs',
      );
      expect(outcome, `exception "${exception.reason}": out of date, remove it`).toBe('differs');
    } finally {
      stage.close();
    }
  });
}
