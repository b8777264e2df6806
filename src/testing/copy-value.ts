/** A value as it is now, for those who look at it after user code has had it. */

/** Deep where a change would show: plain objects, classes, arrays, bytes, maps, sets, dates. */
export function copyOf<T>(value: T): T {
  return copied(value, new Map()) as T;
}

function copied(value: unknown, done: Map<object, unknown>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const before = done.get(value);
  if (before !== undefined) return before;
  const keep = <C extends object>(copy: C): C => {
    done.set(value, copy);
    return copy;
  };
  if (Buffer.isBuffer(value)) return keep(Buffer.from(value));
  if (ArrayBuffer.isView(value) || value instanceof Date) return keep(structuredClone(value));
  if (Array.isArray(value)) {
    const copy = keep([] as unknown[]);
    for (const item of value) copy.push(copied(item, done));
    return copy;
  }
  if (value instanceof Map) {
    const copy = keep(new Map());
    for (const [key, each] of value) copy.set(copied(key, done), copied(each, done));
    return copy;
  }
  if (value instanceof Set) {
    const copy = keep(new Set());
    for (const each of value) copy.add(copied(each, done));
    return copy;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  // Anything else may keep its content where nobody else can reach it.
  if (prototype !== null && !Object.hasOwn(prototype as object, 'constructor')) return value;
  const copy = keep(Object.create(prototype as object | null) as Record<string, unknown>);
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
    const isValue = 'value' in property;
    const own = isValue ? { ...property, value: copied(property.value, done) } : property;
    Object.defineProperty(copy, name, own);
  }
  return copy;
}
