/** docs/errors.md, docs/options.md and docs/metrics.md agree with the code both ways. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DEFAULTS, LIMITS } from '../../src/config/options.ts';
import { ERRORS } from '../../src/errors.ts';
import { METRICS } from '../../src/telemetry/metrics.ts';

function rowsOf(file: string): string[][] {
  const text = readFileSync(new URL(`../../docs/${file}`, import.meta.url), 'utf8');
  return text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

test('every error code stands in docs/errors.md with its meaning, decision and mend', () => {
  const documented = rowsOf('errors.md').map(([code, ...rest]) => [code!.slice(1, -1), ...rest]);
  const actual = Object.entries(ERRORS).map(([code, { meaning, decision, mend }]) => [
    code,
    meaning,
    decision,
    mend,
  ]);
  expect(documented).toEqual(actual);
});

test('every option stands in docs/options.md with its default and range', () => {
  const documented = rowsOf('options.md').map(([name, value, range]) => [
    name!.slice(1, -1),
    value,
    range,
  ]);
  const actual = Object.entries(DEFAULTS).map(([name, value]) => {
    const limits = LIMITS[name as keyof typeof LIMITS] as readonly [number, number] | undefined;
    const range = limits === undefined ? '' : `${shown(limits[0])} to ${shown(limits[1])}`;
    return [name, typeof value === 'number' ? shown(value) : String(value), range];
  });
  expect(documented).toEqual(actual);
});

test('every metric stands in docs/metrics.md with its kind, unit and meaning', () => {
  const documented = rowsOf('metrics.md').map(([name, ...rest]) => [name!.slice(1, -1), ...rest]);
  const actual = Object.entries(METRICS).map(([name, { kind, by, unit, meaning }]) => [
    name,
    kind,
    by ?? '',
    unit,
    meaning,
  ]);
  expect(documented).toEqual(actual);
});

function shown(value: number): string {
  return value.toLocaleString('en');
}
