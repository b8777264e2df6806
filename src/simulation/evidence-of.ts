/** Puts together what the judges of a run are shown. */
import type { CommittedRecord } from './oracle/committed-log.ts';
import type { Evidence, StoreRows } from './oracle/evidence.ts';
import type { PrefixReader } from './oracle/prefix-reader.ts';
import type { TransactionTrace } from './oracle/transaction-trace.ts';
import type { Outsider } from './outsider.ts';
import type { Tamper } from './tamper.ts';
import type { Workload } from './workload.ts';

export interface EvidenceParts {
  readonly workload: Workload;
  readonly applicationId: string;
  readonly outsider: Outsider;
  readonly trace: TransactionTrace;
  readonly reader: PrefixReader;
  readonly stores: readonly StoreRows[];
  readonly inputs: readonly string[];
  readonly tamper: Tamper;
}

export function evidenceOf(parts: EvidenceParts): Evidence {
  const { outsider, trace, reader, applicationId, tamper } = parts;
  const names = outsider.topics();
  const views = new Map(names.map((name) => [name, outsider.views(name, tamper.batches)]));
  const topic = (name: string) => views.get(name) ?? [];
  const byTransaction = new Map<string, CommittedRecord[]>();
  const ever = names.flatMap((name) => outsider.views(name, tamper.batches, 'ever'));
  for (const record of ever.flatMap(({ committed }) => committed)) {
    const transaction = trace.transactionOf(record);
    if (transaction === null) continue;
    const before = byTransaction.get(transaction);
    if (before === undefined) byTransaction.set(transaction, [record]);
    else before.push(record);
  }
  const steps = trace.steps.map((step) => ({
    ...step,
    records: byTransaction.get(step.transaction) ?? [],
  }));
  const open = outsider.openTransactions();
  return {
    model: parts.workload,
    applicationId,
    written: tamper.written?.(outsider.written) ?? outsider.written,
    changelogs: names.filter((name) => isInternal(applicationId, name, 'changelog')),
    topic,
    steps,
    topics: names,
    inputs: parts.inputs,
    committedOffset: (name, partition) => {
      const offset = outsider.committedOffset(name, partition);
      return tamper.committedOffset?.(offset, name, partition) ?? offset;
    },
    stableEnd: (name, partition) => {
      const offset = outsider.stableEnd(name, partition);
      return tamper.stableEnd?.(offset, name, partition) ?? offset;
    },
    openTransactions: tamper.openTransactions?.(open) ?? open,
    seen: [...trace.violations, ...reader.violations],
    stores: tamper.stores?.(parts.stores) ?? parts.stores,
    transactionOf: (record) => trace.transactionOf(record),
    writerOf: (record) => trace.writerOf(record),
  };
}

export function isInternal(
  applicationId: string,
  topic: string,
  kind: 'changelog' | 'repartition',
): boolean {
  return topic.startsWith(`${applicationId}-`) && topic.endsWith(`-${kind}`);
}
