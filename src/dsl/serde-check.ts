/** What a user of plain JavaScript may leave out. */
import type { AnySerde } from '../topology/node.ts';
import type { Drawing } from './drawing.ts';

/** Adds a problem for each serde that is missing or is not one. */
export function checkSerdes<S extends { readonly key: AnySerde; readonly value: AnySerde }>(
  drawing: Drawing,
  operator: string,
  given: S,
): S {
  for (const part of ['key', 'value'] as const) {
    const serde: Partial<AnySerde> | null | undefined = given?.[part];
    const whole = typeof serde?.decode === 'function' && typeof serde.encode === 'function';
    if (!whole) drawing.problem(operator, `needs a serde as \`${part}\`, such as string()`);
  }
  return given ?? ({} as S);
}
