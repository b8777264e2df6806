/**
 * A bank: a transfer debits one account and sends a credit to another one's task through a
 * repartition topic. Money is neither made nor lost: at the end every account has what the transfers
 * say, and no credit is under way.
 */
import {
  aggregate,
  mapValues,
  repartition,
  retry,
  selectKey,
  string,
  to,
  topology,
} from '../../../src/index.ts';
import type { Input, Outcome } from '../../../src/simulation/oracle/evidence.ts';
import type { SeededRandom } from '../../../src/simulation/seeded-random.ts';
import type { UserCode, Workload } from '../../../src/simulation/workload.ts';
import { differences } from './differences.ts';

const text = string();
const PARTITIONS = 2;
const ACCOUNTS = 4;
const AMOUNT_MOST = 100;

/** `<total sent> <payee> <amount>`: the debit store's row is also the message of the last credit. */
function debited(row: string, transfer: string): string {
  const sent = Number(row.split(' ')[0]);
  const amount = Number(transfer.split(' ')[1]);
  return `${sent + amount} ${transfer}`;
}

export const transfer: Workload = {
  name: 'transfer',
  repeatable: 'last-of-key',
  topics: { transfers: PARTITIONS, credited: PARTITIONS },

  topology({ disturb }: UserCode) {
    const app = topology('bank');
    app.stream('transfers', { key: text, value: text, onError: retry(20) }).pipe(
      aggregate({
        name: 'debits',
        init: () => '0',
        add: (row, value) => {
          disturb();
          return debited(row, value);
        },
        key: text,
        value: text,
      }),
      selectKey(({ value }) => value.split(' ')[1]!),
      mapValues((value) => value.split(' ')[2]!),
      repartition({ name: 'credits', key: text, value: text }),
      aggregate({
        name: 'received',
        init: () => '0',
        add: (sum, amount) => String(Number(sum) + Number(amount)),
        key: text,
        value: text,
      }),
      to('credited', { key: text, value: text }),
    );
    return app.build();
  },

  inputs(random: SeededRandom, records: number): Input[] {
    const partitionOf = Array.from({ length: ACCOUNTS }, (_, account) => account % PARTITIONS);
    return Array.from({ length: records }, (_, n) => {
      const payer = random.below(ACCOUNTS);
      const payee = `a${random.below(ACCOUNTS)}`;
      return {
        topic: 'transfers',
        partition: partitionOf[payer]!,
        key: `a${payer}`,
        value: `${payee} ${1 + random.below(AMOUNT_MOST)}`,
        timestampMs: 1_000 + n,
      };
    });
  },

  source: () => null,

  /** After each step: what was sent has been received, or is under way in the repartition topic. */
  conserved({ applicationId, steps }: Outcome): string[] {
    const credits = `${applicationId}-credits-repartition`;
    const amounts = new Map<string, number>();
    const sums = new Map<string, number>();
    const read = new Map<number, number>();
    let [sent, received, underWay] = [0, 0, 0];
    for (const { transaction, records, offsets } of steps) {
      for (const { topic, partition, offset, key, value } of records) {
        const row = `${topic} ${key}`;
        const total = Number(String(value).split(' ')[0]);
        if (topic === credits) {
          amounts.set(`${partition}@${offset}`, total);
          underWay += total;
        } else if (topic.endsWith('-debits-changelog')) sent += total - (sums.get(row) ?? 0);
        else if (topic.endsWith('-received-changelog')) received += total - (sums.get(row) ?? 0);
        sums.set(row, total);
      }
      for (const { topic, partition, offset } of offsets) {
        if (topic !== credits) continue;
        for (let at = read.get(partition) ?? 0; at < offset; at++) {
          underWay -= amounts.get(`${partition}@${at}`) ?? 0;
        }
        read.set(partition, offset);
      }
      if (sent === received + underWay) continue;
      return [`after ${transaction}: ${sent} sent, ${received} received, ${underWay} under way`];
    }
    return [];
  },

  check({ applicationId, written, topic }: Outcome): string[] {
    const sent = new Map<string, number>();
    const received = new Map<string, number>();
    const add = (sums: Map<string, number>, account: string, amount: number): void => {
      sums.set(account, (sums.get(account) ?? 0) + amount);
    };
    for (const { key, value } of written) {
      const [payee, amount] = String(value).split(' ');
      add(sent, String(key), Number(amount));
      add(received, payee!, Number(amount));
    }
    const last = (name: string): string[] => {
      const rows = new Map<string, string>();
      for (const { key, value } of topic(name).flatMap((view) => view.committed)) {
        rows.set(String(key), String(value).split(' ')[0]!);
      }
      return [...rows].map(([key, value]) => `${key}=${value}`).sort();
    };
    const lines = (sums: Map<string, number>): string[] =>
      [...sums].map(([key, value]) => `${key}=${value}`).sort();
    const updates = topic('credited').reduce((sum, view) => sum + view.committed.length, 0);
    return [
      ...differences('sent', last(`${applicationId}-debits-changelog`), lines(sent)),
      ...differences('received', last(`${applicationId}-received-changelog`), lines(received)),
      ...differences('credited', last('credited'), lines(received)),
      ...differences('updates', [String(updates)], [String(written.length)]),
    ];
  },
};
