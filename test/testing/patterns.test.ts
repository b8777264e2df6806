/** Commit and crash patterns: the same seed gives the same ones. */
import { expect, test } from 'vitest';
import { patterns } from '../../src/testing/patterns.ts';

function turns(seed: number): readonly string[] {
  return patterns(seed, 3).map(({ name, turn, held, last }) => {
    const drawn = Array.from({ length: 40 }, (_, n) => `${turn('new')} ${n % 3 ? held() : ''}`);
    return [name, ...drawn, last].join(', ');
  });
}

test('a seed gives the same patterns every time, another one others', () => {
  expect(turns(1)).toEqual(turns(1));
  const [one, other] = [turns(1), turns(2)];
  expect(one.filter((pattern) => !other.includes(pattern))).toHaveLength(3);
});

test('what is done again is never disturbed again, so that every replay ends', () => {
  for (const { name, turn } of patterns(1, 20)) {
    if (name === 'the answer to every commit lost') continue;
    if (name === 'a crash and a restore between any two records') continue;
    const redone = Array.from({ length: 50 }, () => turn('redone'));
    expect(
      redone.every((each) => each === 'go on' || each === 'commit'),
      name,
    ).toBe(true);
  }
});

test('random patterns hold every turn there is', () => {
  const drawn = new Set(
    patterns(1, 5).flatMap(({ turn }) => Array.from({ length: 50 }, () => turn('new'))),
  );
  expect([...drawn].sort()).toEqual(
    ['abort', 'answer lost', 'commit', 'crash', 'crash after commit', 'go on', 'hold'].sort(),
  );
});
