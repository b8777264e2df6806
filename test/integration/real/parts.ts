/**
 * Which real parts this machine can start, and what tests do about it. A missing part skips its
 * tests and says why in their titles, which the summary of `npm test` lists. With
 * `ESCAPEMENT_REQUIRE_REAL=1` (as in `.ci/run`) nothing is skipped and a missing part fails.
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe } from 'vitest';

function onPath(command: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const missing = ['java', 'javac', 'mvn', 'openssl', 'tar'].filter((command) => !onPath(command));

/** What keeps Kafka and Apicurio from starting here, or null. */
export const MISSING_REAL: string | null =
  missing.length === 0 ? null : `not on the PATH: ${missing.join(', ')}`;

export const REQUIRES_REAL = process.env.ESCAPEMENT_REQUIRE_REAL === '1';

/** `describe` for tests that need real Kafka or Apicurio. */
export function describeReal(title: string, body: () => void): void {
  if (MISSING_REAL === null || REQUIRES_REAL) describe(title, body);
  else describe.skip(`${title} [${MISSING_REAL}]`, body);
}

/** `describe` for tests that need one command of the distribution. */
export function describeCommand(command: string, title: string, body: () => void): void {
  if (onPath(command) || REQUIRES_REAL) describe(title, body);
  else describe.skip(`${title} [not on the PATH: ${command}]`, body);
}
