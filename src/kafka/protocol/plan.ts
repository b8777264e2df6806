/**
 * A layout narrowed to one version of its message: what `codec.ts` walks.
 *
 * I1. A plan is made once per message and version and never changes.
 * I2. `bytesMin` never exceeds what a valid element takes, so a count that the remaining bytes cannot
 *     hold is refused before anything is allocated for it.
 */
import type { Api, Field, Kind, Layout } from './schema.ts';

export interface FieldPlan {
  readonly name: string;
  readonly kind: Kind;
  readonly nullable: boolean;
  readonly tag: number;
  /** Value of an omitted field; arrays and structs are made anew by `fallbackOf`. */
  readonly fallback: unknown;
  readonly element: FieldPlan | null;
  readonly struct: StructPlan | null;
  readonly bytesMin: number;
}

export interface AbsentField {
  readonly name: string;
  readonly whenAbsent: 'refuse' | 'ignore';
  readonly plan: FieldPlan;
}

export interface StructPlan {
  readonly flexible: boolean;
  readonly fields: readonly FieldPlan[];
  /** By tag. */
  readonly tagged: readonly FieldPlan[];
  /** Fields of other versions. */
  readonly absent: readonly AbsentField[];
  readonly bytesMin: number;
}

export type Side = 'request' | 'response';

const plans = new WeakMap<Layout, (StructPlan | undefined)[]>();

/** The plan of one side of an API at a version that the caller has checked. */
export function planOf(api: Api, side: Side, version: number): StructPlan {
  const layout = api[side];
  let byVersion = plans.get(layout);
  if (byVersion === undefined) {
    byVersion = [];
    plans.set(layout, byVersion);
  }
  const plan = byVersion[version] ?? structPlan(layout, version, version >= api.flexibleFrom);
  byVersion[version] = plan;
  return plan;
}

function structPlan(layout: Layout, version: number, flexible: boolean): StructPlan {
  const fields: FieldPlan[] = [];
  const tagged: FieldPlan[] = [];
  const absent: AbsentField[] = [];
  for (const [name, field] of Object.entries(layout)) {
    const { since = 0, until = Number.MAX_SAFE_INTEGER, whenAbsent = 'refuse' } = field.options;
    const plan = fieldPlan(name, field, version, flexible);
    if (version < since || version > until) absent.push({ name, whenAbsent, plan });
    else if (plan.tag >= 0) tagged.push(plan);
    else fields.push(plan);
  }
  tagged.sort((a, b) => a.tag - b.tag);
  let bytesMin = flexible ? 1 : 0;
  for (const plan of fields) bytesMin += plan.bytesMin;
  return { flexible, fields, tagged, absent, bytesMin };
}

function fieldPlan(name: string, field: Field, version: number, flexible: boolean): FieldPlan {
  const { nullableSince = Number.MAX_SAFE_INTEGER, tag = -1 } = field.options;
  const { element, layout, kind } = field;
  const inner = layout === null ? null : structPlan(layout, version, flexible);
  const nullable = version >= nullableSince;
  return {
    name,
    kind,
    nullable,
    tag,
    fallback: field.options.default,
    element: element === null ? null : fieldPlan(name, element, version, flexible),
    struct: inner,
    bytesMin: bytesMinOf(kind, flexible, nullable, inner),
  };
}

function bytesMinOf(
  kind: Kind,
  flexible: boolean,
  nullable: boolean,
  inner: StructPlan | null,
): number {
  switch (kind) {
    case 'boolean':
    case 'int8':
      return 1;
    case 'int16':
      return 2;
    case 'int32':
      return 4;
    case 'int64':
      return 8;
    case 'uuid':
      return 16;
    case 'string':
      return flexible ? 1 : 2;
    case 'bytes':
    case 'records':
    case 'array':
      return flexible ? 1 : 4;
    case 'struct':
      return nullable ? 1 : inner!.bytesMin;
  }
}

const NO_BYTES: Buffer = Buffer.alloc(0);
const ZERO_UUID = '0'.repeat(32);

/** The value of a field that was not given or is not in the version. */
export function fallbackOf(plan: FieldPlan): unknown {
  if (plan.fallback !== undefined) return plan.fallback;
  switch (plan.kind) {
    case 'boolean':
      return false;
    case 'string':
      return '';
    case 'uuid':
      return ZERO_UUID;
    case 'bytes':
      return NO_BYTES;
    case 'records':
      return null;
    case 'array':
      return [];
    case 'struct': {
      const { fields, tagged, absent } = plan.struct!;
      const value: Record<string, unknown> = {};
      for (const field of fields) value[field.name] = fallbackOf(field);
      for (const field of tagged) value[field.name] = fallbackOf(field);
      for (const field of absent) value[field.name] = fallbackOf(field.plan);
      return value;
    }
    default:
      return 0;
  }
}

/** True when the value says no more than leaving it out. */
export function isFallback(plan: FieldPlan, value: unknown): boolean {
  if (value === undefined) return true;
  if (plan.fallback !== undefined) return value === plan.fallback;
  switch (plan.kind) {
    case 'array':
      return Array.isArray(value) && value.length === 0;
    case 'bytes':
      return Buffer.isBuffer(value) && value.length === 0;
    case 'records':
      return value === null || (Buffer.isBuffer(value) && value.length === 0);
    case 'struct': {
      const struct = value as Record<string, unknown>;
      const { fields, tagged } = plan.struct!;
      return (
        fields.every((field) => isFallback(field, struct[field.name])) &&
        tagged.every((field) => isFallback(field, struct[field.name]))
      );
    }
    default:
      return value === fallbackOf(plan);
  }
}
