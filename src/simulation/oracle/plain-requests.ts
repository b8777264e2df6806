/**
 * Requests and answers that tell of transactions, read the plain way, byte by byte (format: Kafka's
 * protocol guide): what is judged is not read with the code that wrote it.
 *
 * Only the flexible versions, the ones that the client speaks to the embedded broker.
 */

/** Names of the APIs that are read here, with the first and the last version that is understood. */
const KNOWN = {
  produce: { key: 0, versions: [9, 12] },
  offsetFetch: { key: 9, versions: [8, 9] },
  heartbeat: { key: 12, versions: [4, 4] },
  syncGroup: { key: 14, versions: [4, 5] },
  initProducerId: { key: 22, versions: [2, 5] },
  endTxn: { key: 26, versions: [3, 5] },
  txnOffsetCommit: { key: 28, versions: [3, 5] },
} as const;

export type PlainApi = keyof typeof KNOWN;

export interface PlainOffset {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** The API of a request that tells of a transaction; null: it does not. */
export function plainApiOf(apiKey: number, apiVersion: number): PlainApi | null {
  for (const [name, { key, versions }] of Object.entries(KNOWN)) {
    if (key !== apiKey) continue;
    if (apiVersion < versions[0] || apiVersion > versions[1]) {
      throw new Error(`${name} version ${apiVersion} is not one that the oracle can read`);
    }
    return name as PlainApi;
  }
  return null;
}

/** `<topic>-<partition>` of everything that is asked for. */
export function readOffsetFetch(body: Buffer, version: number): string[] {
  const reader = new PlainReader(body);
  return reader
    .rows(() => {
      reader.text();
      if (version >= 9) {
        reader.text();
        reader.skip(4);
      }
      const places = reader.rows(() => {
        const topic = reader.text()!;
        const rows = reader.rows(() => `${topic}-${reader.int32()}`);
        reader.tags();
        return rows;
      });
      reader.tags();
      return places.flat();
    })
    .flat();
}

export function readProduce(body: Buffer): { place: string; records: Buffer }[] {
  const reader = new PlainReader(body);
  reader.text();
  reader.skip(2 + 4);
  return reader
    .rows(() => {
      const topic = reader.text()!;
      const partitions = reader.rows(() => {
        const place = `${topic}-${reader.int32()}`;
        const records = reader.bytes() ?? Buffer.alloc(0);
        reader.tags();
        return { place, records };
      });
      reader.tags();
      return partitions;
    })
    .flat();
}

export function readTxnOffsetCommit(body: Buffer) {
  const reader = new PlainReader(body);
  const transactionalId = reader.text()!;
  reader.text();
  const producerId = reader.int64();
  reader.skip(2);
  const generation = reader.int32();
  reader.text();
  const instanceId = reader.text();
  const offsets = reader
    .rows(() => {
      const topic = reader.text()!;
      const rows = reader.rows((): PlainOffset => {
        const partition = reader.int32();
        const offset = reader.int64();
        reader.skip(4);
        reader.text();
        reader.tags();
        return { topic, partition, offset };
      });
      reader.tags();
      return rows;
    })
    .flat();
  return { transactionalId, producerId, generation, instanceId, offsets };
}

/** Error codes, in the order of the request's offsets. */
export function readTxnOffsetCommitAnswer(body: Buffer): number[] {
  const reader = new PlainReader(body);
  reader.skip(4);
  return reader
    .rows(() => {
      reader.text();
      const codes = reader.rows(() => {
        reader.skip(4);
        const code = reader.int16();
        reader.tags();
        return code;
      });
      reader.tags();
      return codes;
    })
    .flat();
}

export function readEndTxn(body: Buffer) {
  const reader = new PlainReader(body);
  const transactionalId = reader.text()!;
  const producerId = reader.int64();
  reader.skip(2);
  const result: 'commit' | 'abort' = reader.int8() === 1 ? 'commit' : 'abort';
  return { transactionalId, producerId, result };
}

/** The generation for which a member asks what it is given. */
export function readSyncGroup(body: Buffer): number {
  const reader = new PlainReader(body);
  reader.text();
  return reader.int32();
}

/** Null: a producer without a transactional id. */
export function readInitProducerId(body: Buffer): string | null {
  return new PlainReader(body).text();
}

export function readInitProducerIdAnswer(body: Buffer) {
  const reader = new PlainReader(body);
  reader.skip(4);
  return { errorCode: reader.int16(), producerId: reader.int64() };
}

/** Of an answer that begins with a throttle time and an error code. */
export function readErrorCode(body: Buffer): number {
  return body.readInt16BE(4);
}

class PlainReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  skip(count: number): void {
    this.#at += count;
  }

  int8(): number {
    this.#at += 1;
    return this.#bytes.readInt8(this.#at - 1);
  }

  int16(): number {
    this.#at += 2;
    return this.#bytes.readInt16BE(this.#at - 2);
  }

  int32(): number {
    this.#at += 4;
    return this.#bytes.readInt32BE(this.#at - 4);
  }

  int64(): number {
    this.#at += 8;
    return Number(this.#bytes.readBigInt64BE(this.#at - 8));
  }

  bytes(): Buffer | null {
    const length = this.#unsigned() - 1;
    if (length < 0) return null;
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  text(): string | null {
    return this.bytes()?.toString() ?? null;
  }

  rows<Row>(read: () => Row): Row[] {
    const rows: Row[] = [];
    for (let left = this.#unsigned() - 1; left > 0; left -= 1) rows.push(read());
    return rows;
  }

  /** Tagged fields are passed over. */
  tags(): void {
    for (let left = this.#unsigned(); left > 0; left -= 1) {
      this.#unsigned();
      this.#at += this.#unsigned();
    }
  }

  #unsigned(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes.readUInt8(this.#at);
      this.#at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }
}
