/**
 * What the chaos run computes: transfers, read from an input, go through a repartition topic to the
 * tasks that keep the accounts, and every update of an account is emitted.
 *
 * Every output says from which input record it came, which record of the repartition topic brought
 * it and who wrote it, and carries a number, a sum and a hash over all records of its account so far,
 * in their order. So one record that is lost, doubled, swapped or read dirty shows at once and at the
 * next output of its account, too.
 */
import {
  aggregate,
  mapValues,
  repartition,
  selectKey,
  string,
  to,
  topology,
} from '../../src/index.ts';

export const APPLICATION_ID = 'chaos';
export const INPUT = 'chaos-in';
export const OUTPUT = 'chaos-out';
export const REPARTITION = `${APPLICATION_ID}-by-account-repartition`;
export const CHANGELOG = `${APPLICATION_ID}-accounts-changelog`;
/** Of each of these topics. */
export const PARTITIONS = 4;

const text = string();

export interface AccountRow {
  /** Records of this account so far, this one included. */
  readonly count: number;
  readonly sum: number;
  /** Over the ids and amounts of all of them, in order. */
  readonly hash: number;
}

export const NEW_ACCOUNT: AccountRow = { count: 0, sum: 0, hash: 0x811c9dc5 };

/** `id`: `<partition>:<offset>` of the input record. */
export function nextRow(row: AccountRow, id: string, amount: number): AccountRow {
  let { hash } = row;
  const added = `${id} ${amount};`;
  for (let at = 0; at < added.length; at += 1) {
    hash = Math.imul(hash ^ added.charCodeAt(at), 0x01000193);
  }
  return { count: row.count + 1, sum: row.sum + amount, hash: hash >>> 0 };
}

/** `writer` stands at the end of every output: the process that made it. */
export function chaosTopology(writer: string) {
  const app = topology('chaos');
  app.stream(INPUT, { key: text, value: text }).pipe(
    // `<account> <amount>` becomes `<input partition>:<offset> <account> <amount>`.
    mapValues((value, { meta }) => `${meta.partition}:${meta.offset} ${value}`),
    selectKey(({ value }) => value.split(' ')[1]!),
    repartition({ name: 'by-account', key: text, value: text }),
    aggregate({
      name: 'accounts',
      init: () => '',
      add: (row, value, { meta }) => {
        const [id, , amount] = value.split(' ') as [string, string, string];
        const [count, sum, hash] = row === '' ? [] : row.split(' ').map(Number);
        const before = row === '' ? NEW_ACCOUNT : { count: count!, sum: sum!, hash: hash! };
        const next = nextRow(before, id, Number(amount));
        return `${next.count} ${next.sum} ${next.hash} ${id} ${meta.partition}:${meta.offset}`;
      },
      key: text,
      value: text,
    }),
    mapValues((row) => `${row} ${writer}`),
    to(OUTPUT, { key: text, value: text }),
  );
  return app.build();
}
