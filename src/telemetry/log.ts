import { printable } from '../errors.ts';

/** Where the library writes: any pino-shaped logger fits. Keys and values of records never appear. */
export interface Log {
  debug(fields: Readonly<Record<string, unknown>>, event: string): void;
  info(fields: Readonly<Record<string, unknown>>, event: string): void;
  warn(fields: Readonly<Record<string, unknown>>, event: string): void;
  error(fields: Readonly<Record<string, unknown>>, event: string): void;
}

const nothing = () => {};

export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** What is wrong with a logger that was given: `undefined` is none, and no problem. */
export function logProblems(log: unknown): readonly string[] {
  if (log === undefined) return [];
  const methods = ['debug', 'info', 'warn', 'error'];
  const given = (typeof log === 'object' || typeof log === 'function' ? log : null) as Log | null;
  const lacking = methods.filter((name) => typeof given?.[name as keyof Log] !== 'function');
  if (lacking.length === 0) return [];
  return [`log must be a logger with ${methods.join(', ')}: it lacks ${lacking.join(', ')}`];
}

/** The log with every text in it fit to be written: no control characters, no user in a URL. */
export function printableLog(log: Log): Log {
  const through =
    (level: keyof Log): Log['debug'] =>
    (fields, event) =>
      log[level](printableFields(fields), printable(event));
  return {
    debug: through('debug'),
    info: through('info'),
    warn: through('warn'),
    error: through('error'),
  };
}

function printableFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === 'string' ? printable(value) : value,
    ]),
  );
}
