/**
 * What two runs over the same input must both leave, whatever happened in them: outputs and
 * changelogs as lines. What is to be compared says the model.
 */
import { type Evidence, placeOf } from './evidence.ts';

export function committedLines({ model, topics, topic, inputs }: Evidence): string[] {
  const { repeatable = 'nothing' } = model;
  if (repeatable === 'nothing') return [];
  const lines: string[] = [];
  // Of a repartition topic, an input as well, the application deletes what it has read.
  for (const name of topics.filter((each) => !inputs.includes(each))) {
    const last = new Map<string, string>();
    for (const record of topic(name).flatMap(({ committed }) => committed)) {
      const key = record.key?.toString('hex') ?? 'null';
      const line = `${placeOf(record)} ${key}=${record.value?.toString('hex') ?? 'null'}`;
      if (repeatable === 'records') lines.push(line);
      else last.set(key, line);
    }
    lines.push(...last.values());
  }
  return lines.sort();
}
