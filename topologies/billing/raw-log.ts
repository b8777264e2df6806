/**
 * Reads what is committed in a topic, with nothing of what is judged: its own socket, its own few
 * requests, the plain batch reader of `escapement/testing`, and its own reading of markers.
 *
 * The billing run is judged by this reader. It asks for everything (read uncommitted), keeps what a
 * producer wrote until that producer's marker comes, and counts what no marker ended.
 */
import { type RawRecord as PlainRecord, rawBatches } from 'escapement/testing';
import { firstAnswer } from './bootstrap.ts';
import { RawConnection } from './raw-connection.ts';

export interface RawRecord extends PlainRecord {
  readonly partition: number;
}

export interface RawPartition {
  readonly committed: readonly RawRecord[];
  /** Records of transactions that were rolled back. */
  readonly aborted: number;
  /** Records of transactions without a marker: nobody may rely on them. */
  readonly open: number;
}

const RETRY_MS = 100;
const TRIES = 100;
const LOOK_MS = 50;
/** In all a minute at least: longer than the transaction of a killed process lasts. */
const LOOKS_MAX = 1_200;

/** Reads every partition of a topic up to the end that it has at the time. `broker`: one or several. */
export async function readTopic(broker: string, topic: string): Promise<RawPartition[]> {
  const leaders = await tried(() => leadersOf(broker, topic));
  return Promise.all(leaders.map((_, partition) => readPartition(broker, topic, partition)));
}

/**
 * Reads a topic when every transaction in it has ended: the markers of a step are written partition by
 * partition, and those of its offsets may be seen before those of its outputs.
 */
export async function readSettled(broker: string, topic: string): Promise<RawPartition[]> {
  for (let look = 1; ; look += 1) {
    const partitions = await readTopic(broker, topic);
    const held = partitions.findIndex(({ open }) => open > 0);
    if (held < 0) return partitions;
    if (look === LOOKS_MAX) {
      const { open } = partitions[held]!;
      throw new Error(`${topic}-${held} holds ${open} records of open transactions`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

async function readPartition(
  broker: string,
  topic: string,
  partition: number,
): Promise<RawPartition> {
  return tried(async () => {
    const leader = (await leadersOf(broker, topic))[partition]!;
    return scan(leader, topic, partition);
  });
}

/** A broker may be away, or have heard nothing of a topic yet. */
async function tried<T>(attemptOnce: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await attemptOnce();
    } catch (error) {
      if (attempt === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

async function scan(leader: string, topic: string, partition: number): Promise<RawPartition> {
  const connection = await RawConnection.to(leader);
  try {
    const open = new Map<number, RawRecord[]>();
    const committed: RawRecord[] = [];
    let aborted = 0;
    let position = 0n;
    for (;;) {
      const { records, end, errorCode } = await connection.fetch(topic, partition, position);
      if (errorCode !== 0) throw new Error(`fetch of ${topic}-${partition}: error ${errorCode}`);
      for (const batch of rawBatches(records)) {
        if (batch.lastOffset < position) continue;
        position = BigInt(batch.lastOffset) + 1n;
        const read = batch.records.map((record) => ({ ...record, partition }));
        if (batch.marker !== null) {
          const ended = open.get(batch.producerId) ?? [];
          open.delete(batch.producerId);
          if (batch.marker === 'commit') committed.push(...ended);
          else aborted += ended.length;
        } else if (batch.isTransactional) {
          const pending = open.get(batch.producerId) ?? [];
          pending.push(...read);
          open.set(batch.producerId, pending);
        } else committed.push(...read);
      }
      if (position >= end) {
        committed.sort((a, b) => a.offset - b.offset);
        const left = [...open.values()].reduce((sum, records) => sum + records.length, 0);
        return { committed, aborted, open: left };
      }
    }
  } finally {
    connection.close();
  }
}

function leadersOf(broker: string, topic: string): Promise<string[]> {
  return firstAnswer(broker, async (address) => {
    const connection = await RawConnection.to(address);
    try {
      return await connection.leaders(topic);
    } finally {
      connection.close();
    }
  });
}
