/** What every operator that keeps state asks of the stream it is applied to. */
import type { TracingStream } from './tracing-stream.ts';

/**
 * The compiler refuses this already; plain JavaScript meets it here. Records of one key that lie in
 * several partitions would be counted apart, silently.
 */
export function requireKeyed(stream: TracingStream, operator: string): void {
  if (stream.keyState === 'keyed') return;
  stream.drawing.problem(
    operator,
    'the key changed above, so the records of one key lie in several partitions: put ' +
      'repartition({ name, key, value }) before it',
  );
}
