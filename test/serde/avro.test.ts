import avsc from 'avsc';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EscapementError } from '../../src/errors.ts';
import { type AvroOptions, type AvroSerde, avro } from '../../src/serde/avro.ts';
import type { AvroSchema } from '../../src/serde/avro-schema.ts';
import { memoryRegistry } from '../../src/serde/memory-registry.ts';
import type { Registry } from '../../src/serde/registry.ts';

/** A registry that hands out any text, also what no registry would take. */
class Shelf implements Registry {
  readonly texts = new Map<number, string>();
  asked: number[] = [];
  down = false;
  readonly refused = new Map<number, EscapementError>();

  put(schema: AvroSchema | string): number {
    const id = this.texts.size + 1;
    this.texts.set(id, typeof schema === 'string' ? schema : JSON.stringify(schema));
    return id;
  }
  async schemaById(id: number): Promise<string> {
    this.asked.push(id);
    if (this.down) throw new EscapementError('REGISTRY_UNAVAILABLE', 'down');
    const refusal = this.refused.get(id);
    if (refusal !== undefined) throw refusal;
    const text = this.texts.get(id);
    if (text === undefined) throw new EscapementError('SCHEMA_UNKNOWN', `no ${id}`);
    return text;
  }
  async idOf(_subject: string, schema: string): Promise<number> {
    for (const [id, text] of this.texts) if (text === schema) return id;
    throw new EscapementError('SCHEMA_UNKNOWN', 'no such text');
  }
  async register(_subject: string, schema: string): Promise<number> {
    return this.put(schema);
  }
}

function frame(id: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeInt32BE(id, 1);
  return Buffer.concat([head, payload]);
}

interface Setup {
  readonly serde: AvroSerde<unknown>;
  read(payload: Buffer): unknown;
  write(value: unknown): Buffer;
}

/** A serde over one schema, or over a writer's and a reader's. */
async function setup(
  writer: AvroSchema,
  reader: AvroSchema = writer,
  options: Partial<AvroOptions> = {},
): Promise<Setup> {
  const shelf = new Shelf();
  const id = shelf.put(writer);
  if (reader !== writer) shelf.put(reader);
  const serde = avro<unknown>({ subject: 's', schema: reader, registry: shelf, ...options });
  await serde.schemas.start();
  await serde.schemas.prepare([id]);
  return {
    serde,
    read: (payload) => {
      const framed = frame(id, payload);
      return serde.decode(Buffer.concat([Buffer.alloc(3, 1), framed]), 3, 3 + framed.length);
    },
    write: (value) => {
      const buffer = Buffer.alloc(2_000);
      return Buffer.from(buffer.subarray(5, serde.encode(value, buffer, 0)));
    },
  };
}

const record = (fields: readonly [string, AvroSchema, unknown?][], name = 'R'): AvroSchema => ({
  type: 'record',
  name,
  fields: fields.map(([field, type, ...rest]) =>
    rest.length === 0 ? { name: field, type } : { name: field, type, default: rest[0] },
  ),
});

const FAILED = expect.objectContaining({ code: 'SERDE_FAILED', decision: 'record' });

describe('avro, one schema', () => {
  const schema: AvroSchema = {
    type: 'record',
    name: 'All',
    namespace: 'org.example',
    fields: [
      { name: 'boolean', type: 'boolean' },
      { name: 'int', type: 'int' },
      { name: 'long', type: 'long' },
      { name: 'float', type: 'float' },
      { name: 'double', type: 'double' },
      { name: 'bytes', type: 'bytes' },
      { name: 'string', type: 'string' },
      { name: 'color', type: { type: 'enum', name: 'Color', symbols: ['RED', 'toString'] } },
      { name: 'fixed', type: { type: 'fixed', name: 'Four', size: 4 } },
      { name: 'array', type: { type: 'array', items: 'string' } },
      { name: 'map', type: { type: 'map', values: 'long' } },
      { name: 'optional', type: ['null', 'string'] },
      { name: 'next', type: ['null', 'All'] },
    ],
  };
  const size4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((each) => Buffer.from(each));
  const text = fc.string({ unit: 'grapheme', maxLength: 70 });
  const values = fc.letrec((tie) => ({
    all: fc.record({
      boolean: fc.boolean(),
      int: fc.integer(),
      // Below -2^52 avsc itself writes another number: it doubles in floating point.
      long: fc.integer({ min: -(2 ** 52), max: 2 ** 53 - 2 }),
      float: fc.float({ noNaN: true }),
      double: fc.double({ noNaN: true }),
      bytes: fc.uint8Array({ maxLength: 20 }).map((each) => Buffer.from(each)),
      string: text,
      // avsc itself takes the symbol toString for an inherited property and refuses the schema.
      color: fc.constantFrom('RED'),
      fixed: size4,
      array: fc.array(text, { maxLength: 5 }),
      map: fc.dictionary(text, fc.integer(), { noNullPrototype: true }),
      optional: fc.option(text),
      next: fc.option(tie('all'), { maxDepth: 2 }),
    }),
  })).all;
  const plain: AvroSchema = JSON.parse(JSON.stringify(schema).replace(',"toString"', ''));

  it('writes and reads the bytes of avsc', async () => {
    const { read, write } = await setup(plain);
    const reference = avsc.Type.forSchema(plain as never);
    fc.assert(
      fc.property(values, (value) => {
        const expected = reference.toBuffer(value);
        expect(write(value)).toEqual(expected);
        expect(read(expected)).toEqual(value);
      }),
    );
  });

  it('says how many bytes are missing and writes nothing outside', async () => {
    const { serde } = await setup(plain);
    fc.assert(
      fc.property(values, fc.nat(1_000), (value, cut) => {
        const large = Buffer.alloc(20_000, 0xaa);
        const end = serde.encode(value, large, 9);
        expect(large.subarray(end).every((byte) => byte === 0xaa)).toBe(true);
        expect(large.subarray(0, 9).every((byte) => byte === 0xaa)).toBe(true);
        const missing = 1 + (cut % (end - 9));
        expect(serde.encode(value, Buffer.alloc(end - missing), 9)).toBe(-missing);
      }),
    );
  });

  it('reads any bytes or fails the record, and never anything else', async () => {
    const { read, write } = await setup(plain);
    fc.assert(
      fc.property(values, fc.array(fc.tuple(fc.nat(), fc.nat(255))), (value, changes) => {
        const payload = write(value);
        for (const [at, byte] of changes) payload[at % payload.length] = byte;
        try {
          read(payload);
        } catch (error) {
          expect(error).toEqual(FAILED);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('refuses every prefix of a value and every continuation', async () => {
    const { read, write } = await setup(plain);
    fc.assert(
      fc.property(values, fc.nat(), (value, cut) => {
        const payload = write(value);
        expect(() => read(payload.subarray(0, cut % payload.length))).toThrow(FAILED);
        expect(() => read(Buffer.concat([payload, Buffer.from([0])]))).toThrow(FAILED);
      }),
    );
  });

  it('refuses a frame that is none', async () => {
    const { serde } = await setup('string');
    for (const hex of ['', '00', '00000000', '0100000001', '00ffffffff', '7b2261223a317d']) {
      const value = Buffer.from(hex, 'hex');
      expect(serde.schemas.idOf(value, 0, value.length)).toBe(-1);
      expect(() => serde.decode(value, 0, value.length)).toThrow(FAILED);
    }
  });
});

describe('avro, hostile bytes', () => {
  const long = (value: bigint): Buffer => {
    const out: number[] = [];
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
    for (; rest > 0x7fn; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
    return Buffer.from([...out, Number(rest)]);
  };

  it('survives counts far beyond the bytes, read and skipped', async () => {
    const items: AvroSchema[] = ['null', 'string', 'long', record([], 'Empty')];
    for (const item of items) {
      const list = record([['list', { type: 'array', items: item }]]);
      const without = record([['other', 'int', 0]]);
      for (const reader of [list, without]) {
        const { read } = await setup(list, reader);
        for (const count of [200_000_000n, 2n ** 53n - 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
          const block = count < 0n ? Buffer.concat([long(count), long(5n)]) : long(count);
          expect(() => read(block)).toThrow(FAILED);
        }
        const blocks = Buffer.alloc(300_000, 0x80);
        expect(() => read(blocks)).toThrow(FAILED);
      }
    }
  });

  it('bounds items without bytes over all blocks', async () => {
    const { read } = await setup({ type: 'array', items: 'null' });
    const block = long(60_000n);
    expect(read(Buffer.concat([block, long(0n)]))).toHaveLength(60_000);
    expect(() => read(Buffer.concat([block, block, long(0n)]))).toThrow(/65536/);
  });

  it('survives a map count and a negative block size', async () => {
    const map = record([['map', { type: 'map', values: 'int' }]]);
    for (const reader of [map, record([['x', 'int', 0]])]) {
      const { read } = await setup(map, reader);
      expect(() => read(long(2n ** 40n))).toThrow(FAILED);
      const loop = Buffer.concat([long(-1n), long(-3n), long(0n)]);
      expect(() => read(loop)).toThrow(FAILED);
    }
  });

  it('keeps the key __proto__ as an entry', async () => {
    const { read, write } = await setup({ type: 'map', values: 'int' });
    const payload = Buffer.concat([
      long(1n),
      long(9n),
      Buffer.from('__proto__'),
      long(5n),
      long(0n),
    ]);
    const value = read(payload) as object;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.entries(value)).toEqual([['__proto__', 5]]);
    expect(write(value)).toEqual(payload);
  });

  it('refuses booleans, ints, indices and lengths that are none', async () => {
    const cases: [AvroSchema, string][] = [
      ['boolean', '07'],
      ['int', long(2n ** 31n).toString('hex')],
      ['long', 'ffffffffffffffffffff01'],
      ['long', 'ffffffffffffffffff02'],
      ['long', 'ffffff'],
      ['string', '01'],
      ['string', long(2n ** 40n).toString('hex')],
      ['bytes', '03'],
      ['string', '02ff'],
      [['null', 'int'], '04'],
      [['null', 'int'], '01'],
      [{ type: 'enum', name: 'E', symbols: ['A'] }, '02'],
      [{ type: 'enum', name: 'E', symbols: ['A'] }, '01'],
      [{ type: 'fixed', name: 'F', size: 4 }, '000000'],
    ];
    for (const [schema, hex] of cases) {
      const { read } = await setup(schema);
      expect(() => read(Buffer.from(hex, 'hex')), `${JSON.stringify(schema)} ${hex}`).toThrow(
        FAILED,
      );
    }
  });

  it('survives a value nested without end', async () => {
    const chain: AvroSchema = {
      type: 'record',
      name: 'Chain',
      fields: [{ name: 'next', type: ['null', 'Chain'] }],
    };
    const { read } = await setup(chain);
    expect(() => read(Buffer.alloc(200_000, 2))).toThrow(/nested deeper/);
    const deep = Buffer.alloc(901, 2);
    deep[900] = 0;
    expect(read(deep)).toHaveProperty('next.next.next');
  });
});

describe('avro, values to write', () => {
  it('refuses what does not fit the schema', async () => {
    const cases: [AvroSchema, unknown][] = [
      ['string', 5],
      ['string', '\ud800'],
      ['boolean', 1],
      ['int', 2 ** 31],
      ['long', 0.5],
      ['long', 2 ** 53],
      ['long', 5n],
      ['bytes', 'text'],
      [{ type: 'enum', name: 'E', symbols: ['A'] }, 'toString'],
      [{ type: 'enum', name: 'E', symbols: ['A'] }, 0],
      [{ type: 'map', values: 'int' }, new Map([['a', 1]])],
      [{ type: 'map', values: 'int' }, [1]],
      [{ type: 'array', items: 'int' }, { 0: 1 }],
      [['null', 'string'], undefined],
      [record([['a', 'int']]), {}],
      [record([['a', 'int']]), null],
    ];
    for (const [schema, value] of cases) {
      const { write } = await setup(schema);
      expect(() => write(value), JSON.stringify(schema)).toThrow(FAILED);
    }
  });

  it('never fills a field in: a default is for reading', async () => {
    const schema = record([['amount', 'long', 0]]);
    const { write } = await setup(schema);
    expect(() => write({ amout: 5 })).toThrow(FAILED);
  });

  it('keeps every int64 with bigints', async () => {
    const schema = record([
      ['n', 'long', 7],
      ['maybe', ['null', 'long'], null],
      ['map', { type: 'map', values: 'long' }],
    ]);
    const { read, write } = await setup(schema, schema, { long: 'bigint' });
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (n) => {
        const value = { n, maybe: n, map: { a: n } };
        expect(read(write(value))).toEqual(value);
      }),
    );
    expect(read(write({ n: 5, maybe: null, map: {} }))).toEqual({ n: 5n, maybe: null, map: {} });
    for (const n of [2n ** 63n, 2 ** 53, '5']) {
      expect(() => write({ n, maybe: null, map: {} })).toThrow(FAILED);
    }
  });

  it('fails the record whose long a number cannot hold, and takes 2^53 - 1', async () => {
    const big = await setup('long', 'long', { long: 'bigint' });
    const { read, write } = await setup('long');
    for (const n of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n]) {
      expect(() => read(big.write(n))).toThrow(FAILED);
      expect(() => read(big.write(n))).toThrow(String(n));
    }
    expect(read(big.write(2n ** 53n - 1n))).toBe(2 ** 53 - 1);
    expect(read(write(-(2 ** 53) + 1))).toBe(-(2 ** 53) + 1);
  });

  it('writes the negative longs that avsc gets wrong', async () => {
    const { write } = await setup('long');
    const big = await setup('long', 'long', { long: 'bigint' });
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 53) + 1, max: -(2 ** 52) }), (n) => {
        expect(write(n)).toEqual(big.write(BigInt(n)));
        expect(big.read(write(n))).toBe(BigInt(n));
      }),
    );
  });

  it('refuses to write before the schema id is known', () => {
    const serde = avro<string>({ subject: 's', schema: 'string', registry: new Shelf() });
    expect(() => serde.encode('a', Buffer.alloc(20), 0)).toThrow(/start/);
  });
});

describe('avro, a writer and a reader', () => {
  const pairs: [string, AvroSchema, AvroSchema, unknown, unknown][] = [
    [
      'drops fields',
      record([
        ['a', 'int'],
        ['b', 'string'],
      ]),
      record([['a', 'int']]),
      { a: 1, b: 'x' },
      { a: 1 },
    ],
    [
      'fills defaults',
      record([['a', 'int']]),
      record([
        ['a', 'int'],
        ['b', 'long', 9],
      ]),
      { a: 1 },
      { a: 1, b: 9 },
    ],
    ['widens an int', 'int', 'long', 5, 5],
    ['widens a long', 'long', 'double', 5, 5],
    ['reads a string as bytes', 'string', 'bytes', 'é', Buffer.from('é')],
    ['reads bytes as a string', 'bytes', 'string', Buffer.from('é'), 'é'],
    ['takes the same type before a promotion', 'string', ['null', 'bytes', 'string'], 'x', 'x'],
    ['takes the int of a tagged union', 'int', ['null', 'double', 'int'], 5, { int: 5 }],
    ['reads a branch as the type', ['null', 'string'], 'string', 'x', 'x'],
    ['reads a type as a branch', 'string', ['null', 'string'], 'x', 'x'],
    [
      'takes an unknown symbol for the default',
      { type: 'enum', name: 'E', symbols: ['A', 'B'] },
      { type: 'enum', name: 'E', symbols: ['A', 'C'], default: 'C' },
      'B',
      'C',
    ],
    [
      'ignores namespaces',
      { type: 'record', name: 'a.b.R', fields: [{ name: 'x', type: 'int' }] },
      { type: 'record', name: 'R', namespace: 'c', fields: [{ name: 'x', type: 'int' }] },
      { x: 1 },
      { x: 1 },
    ],
    [
      'follows aliases',
      record([['old', 'int']], 'Old'),
      {
        type: 'record',
        name: 'New',
        aliases: ['Old'],
        fields: [{ name: 'renamed', aliases: ['old'], type: 'int' }],
      },
      { old: 1 },
      { renamed: 1 },
    ],
  ];
  for (const [what, writer, reader, written, read] of pairs) {
    it(what, async () => {
      const source = await setup(writer);
      const target = await setup(writer, reader);
      expect(target.read(source.write(written))).toEqual(read);
    });
  }

  it('fails the record with an unknown symbol or branch, not its neighbours', async () => {
    const writer = record([
      ['e', { type: 'enum', name: 'E', symbols: ['A', 'B'] }],
      ['u', ['null', 'int', 'string']],
    ]);
    const reader = record([
      ['e', { type: 'enum', name: 'E', symbols: ['B'] }],
      ['u', ['null', 'string']],
    ]);
    const source = await setup(writer);
    const target = await setup(writer, reader);
    expect(target.read(source.write({ e: 'B', u: 'x' }))).toEqual({ e: 'B', u: 'x' });
    expect(() => target.read(source.write({ e: 'A', u: 'x' }))).toThrow(FAILED);
    expect(() => target.read(source.write({ e: 'B', u: 5 }))).toThrow(FAILED);
  });

  it('reads recursive schemas that evolved', async () => {
    const tree = (extra: readonly object[]): AvroSchema => ({
      type: 'record',
      name: 'Tree',
      fields: [{ name: 'kids', type: { type: 'array', items: ['null', 'Tree'] } }, ...extra],
    });
    const source = await setup(tree([]));
    const target = await setup(tree([]), tree([{ name: 'n', type: 'long', default: 3 }]), {
      long: 'bigint',
    });
    const value = { kids: [null, { kids: [{ kids: [] }] }] };
    const read = { n: 3n, kids: [null, { n: 3n, kids: [{ n: 3n, kids: [] }] }] };
    expect(target.read(source.write(value))).toEqual(read);
  });

  it('reads schemas that registries serve and avsc refuses', async () => {
    const odd = [
      {
        type: 'record',
        name: 'R',
        namespace: 'my-company.events',
        fields: [{ name: 'a', type: 'int' }],
      },
      record([['a', 'int', 'not an int']]),
      record([
        ['a', 'int'],
        ['u', ['null', 'string'], 'a later branch'],
      ]),
      record([['a', { type: { type: 'int' } }]]),
      { type: { type: 'record', name: 'R', fields: [{ name: 'a', type: 'int', order: 'odd' }] } },
    ];
    for (const writer of odd) {
      const target = await setup(JSON.stringify(writer), record([['a', 'int']]));
      const payload = Buffer.from(JSON.stringify(writer).includes('"u"') ? '0a00' : '0a', 'hex');
      expect(target.read(payload)).toEqual({ a: 5 });
    }
  });

  it('fails records, not the topic, of a writer that cannot be read', async () => {
    const reader = record([['a', 'int']]);
    for (const writer of [
      record([['b', 'int']]),
      record([['a', 'int']], 'Other'),
      'string',
      '{',
      '{"type":"no"}',
    ]) {
      const target = await setup(writer, reader);
      const error = (() => {
        try {
          target.read(Buffer.from('0a', 'hex'));
        } catch (caught) {
          return caught;
        }
      })();
      expect(error).toMatchObject({ code: 'SCHEMA_INCOMPATIBLE', decision: 'record' });
      expect(target.serde.schemas.problemOf?.(1)).toMatchObject({ code: 'SCHEMA_INCOMPATIBLE' });
    }
  });

  it('refuses a record in a field although a union has tried it in vain before', async () => {
    const top = (field: string): AvroSchema =>
      record(
        [
          ['maybe', ['null', record([[field, 'int']], 'Inner')]],
          ['sure', 'Inner'],
        ],
        'Top',
      );
    const target = await setup(top('x'), top('y'));
    expect(target.serde.schemas.problemOf?.(1)).toMatchObject({ code: 'SCHEMA_INCOMPATIBLE' });
  });

  it('refuses a reader schema that is not valid', () => {
    const registry = new Shelf();
    for (const schema of ['{', '{"type":"record"}', '"nonsense"', '[]']) {
      expect(() => avro({ subject: 's', schema, registry })).toThrow(
        expect.objectContaining({ code: 'OPTION_INVALID' }),
      );
    }
  });
});

describe('avro, preparation', () => {
  let now = 0;
  const clock = { now: () => now, monotonic: () => now };
  const serdeOver = (registry: Registry): AvroSerde<string> =>
    avro<string>({ subject: 's', schema: '"string"', registry, clock });
  const value = (id: number): Buffer => frame(id, Buffer.from('0261', 'hex'));

  it('asks once for an id that many wait for, and then never again', async () => {
    const shelf = new Shelf();
    shelf.put('"string"');
    const { schemas } = serdeOver(shelf);
    await Promise.all([schemas.prepare([1]), schemas.prepare([1, 1])]);
    await schemas.prepare([1]);
    expect(shelf.asked).toEqual([1]);
    expect(schemas.isReady(1)).toBe(true);
  });

  it('asks again for an unknown id only after a while', async () => {
    now = 0;
    const shelf = new Shelf();
    const serde = serdeOver(shelf);
    await serde.schemas.prepare([1]);
    expect(serde.schemas.isReady(1)).toBe(true);
    expect(() => serde.decode(value(1), 0, 7)).toThrow(
      expect.objectContaining({ code: 'SCHEMA_UNKNOWN', decision: 'record' }),
    );
    now = 9_999;
    await serde.schemas.prepare([1]);
    expect(shelf.asked).toHaveLength(1);
    now = 10_000;
    expect(serde.schemas.isReady(1)).toBe(false);
    await serde.schemas.prepare([1]);
    now = 29_999;
    expect(serde.schemas.isReady(1)).toBe(true);
    now = 30_000;
    shelf.put('"string"');
    await serde.schemas.prepare([1]);
    expect(serde.decode(value(1), 0, 7)).toBe('a');
  });

  it('decides nothing while the registry is down', async () => {
    const shelf = new Shelf();
    shelf.put('"string"');
    shelf.down = true;
    const serde = serdeOver(shelf);
    await expect(serde.schemas.prepare([1])).rejects.toMatchObject({
      code: 'REGISTRY_UNAVAILABLE',
      decision: 'retry',
    });
    expect(serde.schemas.isReady(1)).toBe(false);
    shelf.down = false;
    await serde.schemas.prepare([1]);
    expect(serde.decode(value(1), 0, 7)).toBe('a');
  });

  it('holds a refusal of one id against the records that name it, for ever', async () => {
    const shelf = new Shelf();
    shelf.put('"string"');
    const refusal = new EscapementError('SCHEMA_INCOMPATIBLE', 'no use', { decision: 'record' });
    shelf.refused.set(2, refusal);
    const serde = serdeOver(shelf);
    await serde.schemas.prepare([1, 2]);
    expect(serde.decode(value(1), 0, 7)).toBe('a');
    expect(() => serde.decode(value(2), 0, 7)).toThrow(
      expect.objectContaining({ code: 'SCHEMA_INCOMPATIBLE', decision: 'record', cause: refusal }),
    );
    expect(serde.schemas.problemOf?.(2)).toMatchObject({ code: 'SCHEMA_INCOMPATIBLE' });
    await serde.schemas.prepare([2]);
    expect(shelf.asked).toEqual([1, 2]);
  });

  it('passes on a refusal that is not about the id', async () => {
    const shelf = new Shelf();
    shelf.refused.set(
      1,
      new EscapementError('REGISTRY_UNAVAILABLE', 'password', { decision: 'stop' }),
    );
    const { schemas } = serdeOver(shelf);
    await expect(schemas.prepare([1])).rejects.toMatchObject({ decision: 'stop' });
    expect(schemas.isReady(1)).toBe(false);
  });

  it('stops at the start when the schema is not registered, and can start later', async () => {
    const registry = memoryRegistry();
    const serde = serdeOver(registry);
    await expect(serde.schemas.start()).rejects.toMatchObject({
      code: 'SCHEMA_UNKNOWN',
      decision: 'stop',
    });
    await registry.register('s', '"string"');
    await serde.schemas.start();
    expect(serde.encode('a', Buffer.alloc(7), 0)).toBe(7);
  });

  it('finds a schema that was registered in another spelling', async () => {
    const shelf = new Shelf();
    const pretty = '{ "type": "record",\n  "name": "R", "fields": [] }';
    shelf.put(pretty);
    const serde = avro({ subject: 's', schema: pretty, registry: shelf });
    await serde.schemas.start();
    expect(serde.encode({}, Buffer.alloc(5), 0)).toBe(5);
  });
});
