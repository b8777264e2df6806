/** Names of options: what is refused, and what is offered instead. */
import { expect, test } from 'vitest';
import {
  refuseMissing,
  refuseOther,
  refuseUnknown,
  shown,
  unknownOptions,
} from '../../src/config/known-options.ts';

const KNOWN = { concurrency: true, order: true, timeoutMs: true };

test.each([
  ['concurency', 'did you mean concurrency?'],
  ['oredr', 'did you mean order?'],
  ['Order', 'did you mean order?'],
  ['timeout.ms', 'did you mean timeoutMs?'],
  ['timeout', 'did you mean timeoutMs?'],
  ['retries', '(known: concurrency, order, timeoutMs)'],
  ['toString', '(known: concurrency, order, timeoutMs)'],
])('%s is not an option, and the nearest one is offered', (name, offered) => {
  const [problem, ...more] = unknownOptions({ [name]: 1, order: 'key' }, KNOWN);
  expect(problem).toContain(`${name} is not an option`);
  expect(problem).toContain(offered);
  expect(more).toEqual([]);
});

test('what people expect under another name is said in words', () => {
  const problems = unknownOptions({ url: 1 }, { host: true }, { url: 'the URL is called host' });
  expect(problems).toEqual(['url is not an option: the URL is called host']);
});

test('all names are refused at once, those without a value, too', () => {
  expect(() => refuseUnknown('mapAsync', { ordr: undefined, retries: 1 }, KNOWN)).toThrow(
    expect.objectContaining({
      code: 'OPTION_INVALID',
      message:
        'mapAsync: ordr is not an option: did you mean order?; ' +
        'retries is not an option (known: concurrency, order, timeoutMs).',
    }),
  );
});

test.each([null, 5, 'counts', ['a'], () => {}])('%s is no object of options', (given) => {
  expect(() => refuseUnknown('count', given, { name: true })).toThrow(
    /^count: its options are an object \(\{ name \}\), not /,
  );
});

test('nothing given is no unknown option, but may lack what is needed', () => {
  expect(() => refuseUnknown('count', undefined, KNOWN)).not.toThrow();
  expect(() => refuseMissing('listen', undefined, ['host', 'port'])).toThrow(/needs host, port/);
  expect(() => refuseMissing('listen', { host: '', port: 0 }, ['host', 'port'])).not.toThrow();
});

test('a choice that there is not is refused with those that there are', () => {
  expect(() => refuseOther('start', 'replay', 'no', 'on', 'off')).toThrow(
    /^start: replay must be 'on' or 'off', not 'no'\.$/,
  );
  expect(() => refuseOther('start', 'replay', undefined, 'on', 'off')).not.toThrow();
  expect(() => refuseOther('start', 'replay', 'off', 'on', 'off')).not.toThrow();
});

test('what is in an object is never shown', () => {
  expect([{ password: 'x' }, ['x'], () => 'x', null, 5].map(shown).join()).not.toContain('x');
});
