/** Functions that a user of plain JavaScript may leave out: without, every record would fail. */
import type { Drawing } from './drawing.ts';

/** Adds a problem for each that is not a function; one without a name is the operator's argument. */
export function checkFunctions(
  drawing: Drawing,
  operator: string,
  given: Readonly<Record<string, unknown>>,
): void {
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === 'function') continue;
    drawing.problem(operator, `needs a function${name === '' ? '' : ` as \`${name}\``}`);
  }
}
