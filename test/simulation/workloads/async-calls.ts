/**
 * Asynchronous calls before a store: many are under way, they end in any order, some fail and some
 * never end, and still every list grows in the order of the input.
 */
import { mapAsync, retry, string, to, topology } from '../../../src/index.ts';
import type { UserCode, Workload } from '../../../src/simulation/workload.ts';
import { appended, listAppend } from './list-append.ts';

const text = string();
const CALL_TIMEOUT_MS = 500;

/** The input and the model are those of lists without calls: a call changes no result. */
export const asyncCalls: Workload = {
  ...listAppend,
  name: 'async-calls',

  topology({ disturb, call }: UserCode) {
    const app = topology('async-calls');
    app.stream('in', { key: text, value: text, onError: retry(20) }).pipe(
      mapAsync(
        async (id) => {
          disturb();
          await call();
          return id;
        },
        { concurrency: 4, order: 'partition', timeoutMs: CALL_TIMEOUT_MS },
      ),
      appended(disturb),
      to('out', { key: text, value: text }),
    );
    return app.build();
  },
};
