/**
 * Asynchronous calls before a store: many are under way, they end in any order, some fail and some
 * never end, and still every list grows in the order of the input.
 */
import { aggregate, mapAsync, retry, string, to, topology } from '../../../src/index.ts';
import type { Input, Outcome, UserCode, Workload } from '../../../src/simulation/workload.ts';
import { listAppend } from './list-append.ts';

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
      aggregate({
        name: 'lists',
        init: () => '',
        add: (list, id) => {
          disturb();
          return list === '' ? id : `${list},${id}`;
        },
        key: text,
        value: text,
      }),
      to('out', { key: text, value: text }),
    );
    return app.build();
  },

  inputs: (random, records): readonly Input[] => listAppend.inputs(random, records),
  check: (outcome: Outcome) => listAppend.check(outcome),
};
