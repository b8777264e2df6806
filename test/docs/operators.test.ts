/** docs/operators.md lists everything that a pipeline is made of, and its example runs. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { TopologyBuilder } from '../../src/dsl/topology.ts';

const FOLDER = new URL(`../../.cache/docs-operators-${process.pid}/`, import.meta.url);
const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
const text = read('docs/operators.md');

afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

/** Values that the public door has from these folders, types left out. */
function exported(folders: RegExp): readonly string[] {
  const names: string[] = [];
  for (const [, kind, list, from] of read('src/index.ts').matchAll(
    /export (type )?\{([^}]*)\} from '([^']+)'/g,
  )) {
    if (kind !== undefined || !folders.test(from!)) continue;
    const each = list!.split(',').map((name) => name.trim());
    names.push(...each.filter((name) => name !== '' && !name.startsWith('type ')));
  }
  return names;
}

/** The tables before the list of what is missing. */
const rows = text
  .slice(0, text.indexOf('## Not there yet'))
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')));

test('every operator and serde of the public door stands in docs/operators.md, and nothing else', () => {
  const methods = Object.getOwnPropertyNames(TopologyBuilder.prototype);
  const documented = rows.map(([written]) => /^`(\w+)\(/.exec(written!)?.[1]);
  const actual = [
    ...exported(/^\.\/(?:dsl|serde)\/|describe/),
    ...methods.filter((name) => name !== 'constructor'),
  ];
  expect(actual).toContain('windowedAggregate');
  expect([...documented].sort()).toEqual([...actual].sort());
});

test('every row says what it does and what it is called in Kafka Streams', () => {
  for (const row of rows) {
    const [written, does, java] = row;
    expect(row, written).toHaveLength(4);
    expect(does, written).not.toBe('');
    expect(java, written).not.toBe('');
  }
});

test('what is not there yet is no export', () => {
  const [, missing] = text.split('## Not there yet');
  const cells = missing!.split('\n').map((line) => /^\| (.*?) \|/.exec(line)?.[1] ?? '');
  const names = cells.flatMap((cell) => cell.match(/(?<=`)\w+(?=`)/g) ?? []);
  expect(names).toContain('suppress');
  expect(exported(/./).filter((name) => names.includes(name))).toEqual([]);
});

test('the serde of docs/operators.md runs', async () => {
  const [, code] = /```ts run\n([\s\S]*?)```/.exec(text)!;
  mkdirSync(FOLDER, { recursive: true });
  const file = new URL('example.ts', FOLDER);
  writeFileSync(file, code!);
  await import(file.href);
});
