/** Ways to break the batches of a partition, for mutants of the oracle's evidence. */
import type { RawBatch, RawRecord } from '../../src/simulation/oracle/raw-batches.ts';
import type { Tamper } from '../../src/simulation/tamper.ts';

export type Change = (batches: RawBatch[]) => RawBatch[];

export function inPartition(place: string, change: Change): Tamper {
  return {
    batches: (batches, name, partition) => {
      if (`${name}-${partition}` !== place) return batches;
      return change(batches.map((batch) => ({ ...batch, records: [...batch.records] })));
    },
  };
}

const isData = (batch: RawBatch): boolean => batch.marker === null;

/** The n-th data batch whose transaction was committed, counted from the end when negative. */
export function committedAt(batches: readonly RawBatch[], n: number): number {
  const committed = batches.flatMap((batch, at) => {
    if (!isData(batch)) return [];
    const end = batches
      .slice(at + 1)
      .find((later) => later.marker !== null && later.producerId === batch.producerId);
    return end?.marker === 'commit' ? [at] : [];
  });
  return committed.at(n)!;
}

export function change(n: number, edit: (batch: RawBatch) => RawBatch): Change {
  return (batches) => {
    const at = committedAt(batches, n);
    return batches.map((batch, index) => (index === at ? edit(batch) : batch));
  };
}

export function changeRecord(n: number, edit: (record: RawRecord) => RawRecord): Change {
  return change(n, (batch) => ({
    ...batch,
    records: batch.records.map((record, at) => (at === 0 ? edit(record) : record)),
  }));
}

export function without(find: (batches: readonly RawBatch[]) => number): Change {
  return (batches) => batches.filter((_, at) => at !== find(batches));
}

/** The first marker of that kind that ends data; a transaction may have none in a partition. */
export function markerWithData(batches: readonly RawBatch[], marker: 'commit' | 'abort'): number {
  const open = new Set<number>();
  return batches.findIndex((batch) => {
    if (batch.marker === null) open.add(batch.producerId);
    else if (open.delete(batch.producerId)) return batch.marker === marker;
    return false;
  });
}

export function flip(from: 'commit' | 'abort'): Change {
  return (batches) => {
    const at = markerWithData(batches, from);
    if (at < 0) throw new Error(`no ${from} marker to flip: choose another seed`);
    const to = from === 'commit' ? 'abort' : 'commit';
    return batches.map((batch, index) => (index === at ? { ...batch, marker: to } : batch));
  };
}

/** Another record behind the last one, of its transaction or of none. */
export function append(
  edit: (record: RawRecord) => RawRecord,
  part: 'transaction' | 'none',
): Change {
  return (batches) => {
    const at = committedAt(batches, -1);
    const last = batches[at]!;
    const extra = edit(last.records.at(-1)!);
    if (part === 'transaction') {
      return change(-1, (batch) => ({ ...batch, records: [...batch.records, extra] }))(batches);
    }
    const end = batches.at(-1)!.lastOffset + 1;
    const record = { ...extra, offset: end };
    return [
      ...batches,
      { ...last, baseOffset: end, lastOffset: end, isTransactional: false, records: [record] },
    ];
  };
}

/** The records of two committed batches change places; their offsets stay. */
export function swapped(batches: RawBatch[]): RawBatch[] {
  const [one, other] = [committedAt(batches, 0), committedAt(batches, 1)];
  const withRecordOf = (batch: RawBatch, from: RawBatch): RawBatch => ({
    ...batch,
    records: batch.records.map((record, at) =>
      at > 0 ? record : { ...from.records[0]!, offset: record.offset },
    ),
  });
  return batches.map((batch, at) => {
    if (at === one) return withRecordOf(batch, batches[other]!);
    return at === other ? withRecordOf(batch, batches[one]!) : batch;
  });
}
