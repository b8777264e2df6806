/** Word count: lines in, the latest count of each word out. The first topology to read. */
import {
  count,
  filter,
  flatMapValues,
  long,
  repartition,
  selectKey,
  string,
  to,
  topology,
} from 'escapement';

export function wordCount() {
  const text = string();
  const app = topology('word-count');
  app.stream('lines', { key: text, value: text }).pipe(
    flatMapValues((line) => line.toLowerCase().split(/\W+/)),
    filter((record) => record.value !== ''),
    // The key changes here, so the records travel to the task that owns the word.
    selectKey((record) => record.value),
    repartition({ name: 'by-word', key: text, value: text }),
    count({ name: 'counts', key: text }),
    to('word-counts', { key: text, value: long() }),
  );
  return app;
}
