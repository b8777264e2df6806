/** Options: defaults, ranges, the order of times, and every problem at once. */
import { expect, test } from 'vitest';
import { DEFAULTS, LIMITS, type Options, resolveOptions } from '../../src/config/options.ts';
import type { EscapementError } from '../../src/errors.ts';

const ID = { applicationId: 'app' };

function problemsOf(given: object): string {
  try {
    resolveOptions(given as Options);
  } catch (error) {
    expect(error).toMatchObject({ code: 'OPTION_INVALID', decision: 'stop' });
    return (error as EscapementError).message;
  }
  return '';
}

test('what is not given has its default, undefined included', () => {
  expect(resolveOptions(ID)).toEqual({ ...DEFAULTS, ...ID });
  expect(resolveOptions({ ...ID, sliceMs: undefined } as unknown as Options).sliceMs).toBe(
    DEFAULTS.sliceMs,
  );
});

test('options cannot be changed afterwards', () => {
  const options = resolveOptions(ID) as { sliceMs: number };
  expect(() => {
    options.sliceMs = 5;
  }).toThrowError(TypeError);
});

test('every problem is told at once: unknown names, ranges, and times out of order', () => {
  const told = problemsOf({
    applicationId: 'not a name',
    instanceId: '',
    onClose: 'never',
    commitIntervall: 5,
    sliceMs: 0,
    compression: 'brotli',
    rackId: '',
    newStores: 'counts',
    batchBytesMax: '1 MB',
    heartbeatIntervalMs: 4_000,
    sessionTimeoutMs: 10_000,
    stopTimeoutMs: 20_000,
  });
  expect(told).toContain("applicationId must be 1 to 200 of [a-zA-Z0-9._-], not 'not a name'");
  expect(told).toContain(
    "compression must be 'none', 'gzip', 'snappy', 'lz4' or 'zstd', not 'brotli'",
  );
  expect(told).toContain("newStores must be a list of names of stores, not 'counts'");
  expect(told).toContain("rackId must be a text of 1 to 200 characters, not ''");
  expect(told).toContain('instanceId must be 1 to 200');
  expect(told).toContain("onClose must be 'dynamic-leave', 'leave' or 'stay', not 'never'");
  expect(told).toContain('commitIntervall is not an option');
  expect(told).toContain('sliceMs must be a whole number from 1 to 100, not 0');
  expect(told).toContain(
    "batchBytesMax must be a whole number from 16384 to 104857600, not '1 MB'",
  );
  expect(told).toContain(
    'heartbeatIntervalMs (4000) must be less than sessionTimeoutMs / 3 (10000)',
  );
  expect(told).toContain('stopTimeoutMs (20000) must be less than transactionTimeoutMs (10000)');
});

test('a time out of its range is not compared with others', () => {
  expect(problemsOf({ ...ID, stopTimeoutMs: -1 })).not.toContain('must be less than');
  expect(problemsOf({ ...ID, transactionTimeoutMs: 0 })).not.toContain('must be less than');
});

test.each<[keyof Options, number, keyof Options, number]>([
  ['heartbeatIntervalMs', 3_000, 'sessionTimeoutMs', 9_000],
  ['stopTimeoutMs', 10_000, 'transactionTimeoutMs', 10_000],
  ['transactionTimeoutMs', 60_000, 'rebalanceTimeoutMs', 60_000],
  ['commitIntervalMs', 8_000, 'transactionTimeoutMs', 8_000],
])('%s %i is too much beside %s %i, and one less is not', (lesser, value, greater, bound) => {
  const given = { ...ID, [lesser]: value, [greater]: bound };
  expect(problemsOf(given)).toContain(`${lesser} (${value}) must be less than ${greater}`);
  expect(problemsOf({ ...given, [lesser]: value - 1 })).toBe('');
});

test.each(Object.entries(LIMITS))(
  '%s takes both ends of its range %j and nothing beyond',
  (name, [least, greatest]) => {
    // Times that must stay in order keep the others far away.
    const wide = {
      transactionTimeoutMs: 900_000,
      rebalanceTimeoutMs: 3_600_000,
      sessionTimeoutMs: 1_800_000,
    };
    for (const value of [least, greatest]) {
      expect(problemsOf({ ...ID, ...wide, [name]: value })).not.toContain(
        `${name} must be a whole`,
      );
    }
    for (const value of [least - 1, greatest + 1, least + 0.5, Number.NaN, '5', null]) {
      expect(problemsOf({ ...ID, ...wide, [name]: value })).toContain(
        `${name} must be a whole number`,
      );
    }
  },
);

test.each(['', '.', '..', 'a b', 'a/b', 'ä', 'a'.repeat(201), 5, null])(
  'the applicationId %j is refused',
  (applicationId) => {
    expect(problemsOf({ applicationId })).toContain('applicationId must be');
  },
);

test('names of every object are no options', () => {
  expect(problemsOf({ ...ID, toString: 5 })).toContain('toString is not an option');
  expect(problemsOf({ ...ID, constructor: 5 })).toContain('constructor is not an option');
});
