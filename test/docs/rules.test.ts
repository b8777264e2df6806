/** docs/rules.md names tests: each is there, under the title that stands beside the rule. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

interface Row {
  readonly rule: string;
  readonly file: string;
  readonly title: string;
}

/** Rows of every table that has a test: the last two columns are its file and its title. */
function rows(): Row[] {
  return readFileSync('docs/rules.md', 'utf8')
    .split('\n')
    .filter((line) => /^\|.*\| `[a-z]/.test(line))
    .map((line) => {
      const cells = line.split('|').map((cell) => cell.trim());
      const [file, title] = cells.slice(-3, -1) as [string, string];
      return { rule: cells[1]!, file: `test/${file.replaceAll('`', '')}.test.ts`, title };
    });
}

test.each(rows())('$rule', ({ file, title }) => {
  expect(existsSync(file), file).toBe(true);
  // Long titles stand in quotes of either kind; code escapes none of the characters used here.
  expect(readFileSync(file, 'utf8')).toMatch(new RegExp(`['"\`]${escaped(title)}`));
});

test('every rule of the broker and every defect is there', () => {
  expect(rows().length).toBeGreaterThanOrEqual(30 + 24);
});

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
