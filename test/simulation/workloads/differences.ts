/** The first difference between what is there and what should be; none when they are equal. */
export function differences(
  what: string,
  found: readonly string[],
  expected: readonly string[],
): string[] {
  const length = Math.max(found.length, expected.length);
  for (let at = 0; at < length; at++) {
    if (found[at] === expected[at]) continue;
    const shown = (line: string | undefined): string =>
      line === undefined ? 'nothing' : `'${line}'`;
    return [
      `${what}: ${shown(found[at])} where ${shown(expected[at])} should be, at ${at} ` +
        `(${found.length} lines of ${expected.length})`,
    ];
  }
  return [];
}
