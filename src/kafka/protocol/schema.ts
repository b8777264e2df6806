/**
 * The layout of Kafka's messages as data, and the TypeScript types that follow from it.
 *
 * One file per API beside this one holds its layouts; `codec.ts` reads and writes bytes by them, for
 * the client and for the embedded broker. Facts come from Apache Kafka's message specifications.
 *
 * I1. The order of the keys of a layout is the order of the fields on the wire.
 * I2. Field names are those of Kafka's specifications in camelCase.
 * I3. A decoded message has every field of its layout: one that its version lacks has its default.
 */

export type Kind =
  | 'boolean'
  | 'int8'
  | 'int16'
  | 'int32'
  /** A `number`: offsets, producer ids and times fit a double exactly; others are malformed. */
  | 'int64'
  | 'string'
  /** 32 hexadecimal digits. */
  | 'uuid'
  | 'bytes'
  /** As `bytes`; the content is record batches. */
  | 'records'
  | 'array'
  | 'struct';

export interface FieldOptions<T> {
  /** First version of the message that has the field. Default: all. */
  readonly since?: number;
  /** Last version of the message that has the field. Default: all. */
  readonly until?: number;
  /** First version in which the field may be null. Default: never. */
  readonly nullableSince?: number;
  /** Tag number of a tagged field (KIP-482). */
  readonly tag?: number;
  /** Value of an omitted field. Default: 0, false, '', no bytes, no elements. */
  readonly default?: T | null;
  /**
   * What to do with a value that differs from the default when the version lacks the field:
   * `refuse` (default) keeps a fence or an isolation level from being dropped in silence.
   */
  readonly whenAbsent?: 'refuse' | 'ignore';
}

export type Presence = 'required' | 'optional';

/** `Value`: decoded; `Body`: what may be given for encoding. */
export interface Field<Value = unknown, Body = unknown, P extends Presence = Presence> {
  readonly kind: Kind;
  readonly options: FieldOptions<unknown>;
  /** Of an array. */
  readonly element: Field | null;
  /** Of a struct. */
  readonly layout: Layout | null;
  /** Never set: carries the types. */
  readonly types?: { readonly value: Value; readonly body: Body; readonly presence: P };
}

export type Layout = { readonly [name: string]: Field };

type ValueOf<F> = F extends Field<infer Value, unknown, Presence> ? Value : never;
type BodyOf<F> = F extends Field<unknown, infer Body, Presence> ? Body : never;
type OptionalNames<L extends Layout> = {
  [N in keyof L]: L[N] extends Field<unknown, unknown, 'required'> ? never : N;
}[keyof L];

/** What decoding yields: every field is there. */
export type Decoded<L extends Layout> = { -readonly [N in keyof L]: ValueOf<L[N]> };

/** What encoding takes: fields with a default, or not in every version, may be left out. */
export type Body<L extends Layout> = {
  readonly [N in Exclude<keyof L, OptionalNames<L>>]: BodyOf<L[N]>;
} & { readonly [N in OptionalNames<L>]?: BodyOf<L[N]> | undefined };

type OrNull<O, T> = O extends { readonly nullableSince: number } ? T | null : T;
type PresenceOf<O> = O extends
  | { readonly default: unknown }
  | { readonly since: number }
  | { readonly until: number }
  | { readonly tag: number }
  ? 'optional'
  : 'required';
type FieldOf<O, Value, B = Value> = Field<OrNull<O, Value>, OrNull<O, B>, PresenceOf<O>>;

function field(kind: Kind, options: unknown, element: Field | null, layout: Layout | null): Field {
  return { kind, options: (options ?? {}) as FieldOptions<unknown>, element, layout };
}

type Plain<T> = <const O extends FieldOptions<T>>(options?: O) => FieldOf<O, T>;

function plain<T>(kind: Kind): Plain<T> {
  return <const O extends FieldOptions<T>>(options?: O) =>
    field(kind, options, null, null) as FieldOf<O, T>;
}

export const boolean = plain<boolean>('boolean');
export const int8 = plain<number>('int8');
export const int16 = plain<number>('int16');
export const int32 = plain<number>('int32');
export const int64 = plain<number>('int64');
export const string = plain<string>('string');
export const uuid = plain<string>('uuid');
/** Decodes as a view into the message. */
export const bytes = plain<Buffer>('bytes');
/** Decodes as a view into the message. */
export const records = plain<Buffer>('records');

/** An array of plain values: `array(int32())`. */
export function array<V, B, const O extends FieldOptions<never>>(
  element: Field<V, B, Presence>,
  options?: O,
): FieldOf<O, V[], readonly B[]> {
  return field('array', options, element, null) as FieldOf<O, V[], readonly B[]>;
}

/** An array of structs: `rows({ topic: string(), partition: int32() })`. */
export function rows<const L extends Layout, const O extends FieldOptions<never>>(
  layout: L,
  options?: O,
): FieldOf<O, Decoded<L>[], readonly Body<L>[]> {
  const element = field('struct', {}, null, layout);
  return field('array', options, element, null) as FieldOf<O, Decoded<L>[], readonly Body<L>[]>;
}

export function struct<const L extends Layout, const O extends FieldOptions<never>>(
  layout: L,
  options?: O,
): FieldOf<O, Decoded<L>, Body<L>> {
  return field('struct', options, null, layout) as FieldOf<O, Decoded<L>, Body<L>>;
}

/** One API as its client sees it: what goes in, what comes back. */
export interface Api<Req = unknown, Res = unknown> {
  readonly key: number;
  readonly name: string;
  /** Lowest and highest version that escapement reads and writes. */
  readonly versions: readonly [min: number, max: number];
  /** Highest version that the client speaks; the later ones are served only. Default: the highest. */
  readonly clientVersionMax?: number;
  /** First version with compact lengths, tagged fields and the longer headers (KIP-482). */
  readonly flexibleFrom: number;
  readonly request: Layout;
  readonly response: Layout;
  /** Never set: carries the types. */
  readonly clientTypes?: { readonly request: Req; readonly response: Res };
}

/** An API with the types of both sides; `codec.ts` infers the broker's from here. */
export interface ServedApi<Req = unknown, Res = unknown, Received = unknown, Reply = unknown>
  extends Api<Req, Res> {
  /** Never set: carries the types. */
  readonly brokerTypes?: { readonly request: Received; readonly response: Reply };
}

/** `never` in the options: no version of an API that this library speaks is flexible. */
const NEVER = 32_767;

export function defineApi<const Req extends Layout, const Res extends Layout>(api: {
  readonly key: number;
  readonly name: string;
  readonly versions: readonly [min: number, max: number];
  readonly clientVersionMax?: number;
  readonly flexibleFrom: number | 'never';
  readonly request: Req;
  readonly response: Res;
}): ServedApi<Body<Req>, Decoded<Res>, Decoded<Req>, Body<Res>> {
  return { ...api, flexibleFrom: api.flexibleFrom === 'never' ? NEVER : api.flexibleFrom };
}

/** The body that the client gives: `RequestBody<typeof produce>`. */
export type RequestBody<A> = A extends Api<infer Req, unknown> ? Req : never;
/** The answer that the client gets. */
export type Response<A> = A extends Api<unknown, infer Res> ? Res : never;
/** The request as the broker gets it. */
export type Request<A> =
  A extends ServedApi<unknown, unknown, infer Received, unknown> ? Received : never;
/** The body that the broker gives. */
export type ResponseBody<A> =
  A extends ServedApi<unknown, unknown, unknown, infer Reply> ? Reply : never;
