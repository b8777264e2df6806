/**
 * Reads what is committed in a topic, byte by byte, with nothing of the framework: its own socket,
 * its own few requests, its own batch decoding and its own reading of transaction markers.
 *
 * The billing run is judged by this reader. It asks for everything (read uncommitted), keeps what a
 * producer wrote until that producer's marker comes, and counts what no marker ended.
 */
import { firstAnswer } from './bootstrap.ts';
import { RawConnection } from './raw-connection.ts';

export interface RawRecord {
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: bigint;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly { readonly key: string; readonly value: Buffer | null }[];
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

/** Reads every partition of a topic up to the end that it has at the time. `broker`: one or several. */
export async function readTopic(broker: string, topic: string): Promise<RawPartition[]> {
  const leaders = await leadersOf(broker, topic);
  return Promise.all(leaders.map((_, partition) => readPartition(broker, topic, partition)));
}

async function readPartition(
  broker: string,
  topic: string,
  partition: number,
): Promise<RawPartition> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const leader = (await leadersOf(broker, topic))[partition]!;
      return await scan(leader, topic, partition);
    } catch (error) {
      if (attempt === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

async function scan(leader: string, topic: string, partition: number): Promise<RawPartition> {
  const connection = await RawConnection.to(leader);
  try {
    const open = new Map<bigint, RawRecord[]>();
    const committed: RawRecord[] = [];
    let aborted = 0;
    let position = 0n;
    for (;;) {
      const { records, end, errorCode } = await connection.fetch(topic, partition, position);
      if (errorCode !== 0) throw new Error(`fetch of ${topic}-${partition}: error ${errorCode}`);
      for (const batch of batchesOf(records, partition)) {
        if (batch.baseOffset + BigInt(batch.lastOffsetDelta) < position) continue;
        position = batch.baseOffset + BigInt(batch.lastOffsetDelta) + 1n;
        if (batch.marker === null && !batch.transactional) committed.push(...batch.records);
        else if (batch.marker === null) {
          const pending = open.get(batch.producerId) ?? [];
          pending.push(...batch.records);
          open.set(batch.producerId, pending);
        } else {
          const ended = open.get(batch.producerId) ?? [];
          open.delete(batch.producerId);
          if (batch.marker === 'commit') committed.push(...ended);
          else aborted += ended.length;
        }
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

interface RawBatch {
  readonly baseOffset: bigint;
  readonly lastOffsetDelta: number;
  readonly producerId: bigint;
  readonly transactional: boolean;
  readonly marker: 'commit' | 'abort' | null;
  readonly records: readonly RawRecord[];
}

function* batchesOf(bytes: Buffer, partition: number): Generator<RawBatch> {
  for (let at = 0; at + 61 <= bytes.length; ) {
    const length = bytes.readInt32BE(at + 8);
    const end = at + 12 + length;
    if (end > bytes.length) return;
    if (bytes[at + 16] !== 2) throw new Error(`batch with magic ${bytes[at + 16]}`);
    const attributes = bytes.readInt16BE(at + 21);
    if ((attributes & 7) !== 0) throw new Error('a compressed batch: this reader takes none');
    const baseOffset = bytes.readBigInt64BE(at);
    const baseTimestamp = bytes.readBigInt64BE(at + 27);
    const records = [
      ...recordsOf(bytes.subarray(at + 61, end), bytes.readInt32BE(at + 57), {
        partition,
        baseOffset,
        baseTimestamp,
      }),
    ];
    const isControl = (attributes & 0x20) !== 0;
    yield {
      baseOffset,
      lastOffsetDelta: bytes.readInt32BE(at + 23),
      producerId: bytes.readBigInt64BE(at + 43),
      transactional: (attributes & 0x10) !== 0,
      marker: isControl ? (records[0]?.key?.readInt16BE(2) === 1 ? 'commit' : 'abort') : null,
      records,
    };
    at = end;
  }
}

interface RecordBase {
  readonly partition: number;
  readonly baseOffset: bigint;
  readonly baseTimestamp: bigint;
}

function* recordsOf(bytes: Buffer, count: number, base: RecordBase): Generator<RawRecord> {
  const reader = new VarintReader(bytes);
  for (let i = 0; i < count; i += 1) {
    reader.varint();
    reader.skip(1);
    const timestamp = base.baseTimestamp + reader.varint();
    const offset = Number(base.baseOffset + reader.varint());
    const key = reader.bytes();
    const value = reader.bytes();
    const headers: { key: string; value: Buffer | null }[] = [];
    for (let h = Number(reader.varint()); h > 0; h -= 1) {
      headers.push({ key: reader.bytes()!.toString(), value: reader.bytes() });
    }
    yield { partition: base.partition, offset, timestamp, key, value, headers };
  }
}

class VarintReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  skip(count: number): void {
    this.#at += count;
  }

  varint(): bigint {
    let raw = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.#bytes.readUInt8(this.#at);
      this.#at += 1;
      raw |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return (raw >> 1n) ^ -(raw & 1n);
    }
  }

  bytes(): Buffer | null {
    const length = Number(this.varint());
    if (length < 0) return null;
    const start = this.#at;
    this.#at += length;
    return Buffer.from(this.#bytes.subarray(start, this.#at));
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
