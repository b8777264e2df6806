/** Scenarios that once failed, kept so that they are run again for ever. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scenario } from '../../src/simulation/scenario.ts';

export interface Regression {
  readonly workload: string;
  /** What was wrong when it was found. */
  readonly violations: readonly string[];
  readonly scenario: Scenario;
}

const FOLDER = join('test', 'simulation', 'regressions');

export function readRegressions(root: string): (readonly [file: string, Regression])[] {
  const folder = join(root, FOLDER);
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return files
    .sort()
    .map((file) => [file, JSON.parse(readFileSync(join(folder, file), 'utf8')) as Regression]);
}

/** Returns the path of the file, relative to the root. */
export function keepRegression(root: string, regression: Regression): string {
  const path = join(FOLDER, `${regression.workload}-${regression.scenario.seed}.json`);
  writeFileSync(join(root, path), `${JSON.stringify(regression, null, 2)}\n`);
  return path;
}
