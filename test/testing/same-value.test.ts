/** What is the same to those who read it. */
import { expect, test } from 'vitest';
import { copyOf } from '../../src/testing/copy-value.ts';
import { isSame } from '../../src/testing/same-value.ts';

class Point {
  readonly x: number;
  constructor(x: number) {
    this.x = x;
  }
}

test.each<[unknown, unknown]>([
  [Number.NaN, Number.NaN],
  [new Point(1), { x: 1 }],
  [{ x: 1, y: undefined }, { x: 1 }],
  [Buffer.from('ab'), new Uint8Array([97, 98])],
  [new Date(5), new Date(5)],
  [new Map([[1, { a: 2n }]]), new Map([[1, { a: 2n }]])],
  [
    [1, [2]],
    [1, [2]],
  ],
])('%o is the same as %o', (one, other) => {
  expect(isSame(one, other)).toBe(true);
  expect(isSame(other, one)).toBe(true);
});

test.each<[unknown, unknown]>([
  [0, -0],
  [1, 1n],
  [null, undefined],
  [{}, null],
  [new Date(5), new Date(6)],
  [new Date(5), {}],
  [new Map([[1, 2]]), new Map()],
  [new Set([1]), new Set([2])],
  [[1], { 0: 1 }],
  [[1], [1, 2]],
  [Buffer.from('ab'), Buffer.from('ac')],
  [Buffer.from('a'), ['a']],
  [{ a: { b: 1 } }, { a: { b: 2 } }],
])('%o is not the same as %o', (one, other) => {
  expect(isSame(one, other)).toBe(false);
  expect(isSame(other, one)).toBe(false);
});

test('a copy is the same, and what is done to the original does not reach it', () => {
  const original = {
    list: [{ n: 1 }],
    bytes: Buffer.from('a'),
    map: new Map([['k', { n: 1 }]]),
    set: new Set([1]),
    date: new Date(1),
    point: new Point(1),
    self: null as unknown,
  };
  original.self = original;
  const copy = copyOf(original);
  expect(copy).toEqual(original);
  expect(copy.self).toBe(copy);
  expect(copy.point).toBeInstanceOf(Point);
  expect(Buffer.isBuffer(copy.bytes)).toBe(true);
  original.list[0]!.n = 2;
  original.bytes[0] = 0;
  original.map.get('k')!.n = 2;
  original.set.add(2);
  original.date.setTime(2);
  expect(copy.list).toEqual([{ n: 1 }]);
  expect(String(copy.bytes)).toBe('a');
  expect(copy.map.get('k')).toEqual({ n: 1 });
  expect([copy.set.size, copy.date.getTime()]).toEqual([1, 1]);
});
