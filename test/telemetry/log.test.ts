import { expect, test } from 'vitest';
import { type Log, printableLog } from '../../src/telemetry/log.ts';

test('the log gets no control characters and no users of URLs, and keeps its own receiver', () => {
  const lines: unknown[] = [];
  const write = function (this: unknown, fields: object, event: string): void {
    lines.push([this === logger, fields, event]);
  };
  const logger: Log = { debug: write, info: write, warn: write, error: write };
  const log = printableLog(logger);
  for (const level of ['debug', 'info', 'warn', 'error'] as const) {
    log[level]({ topic: 'a\u001bb', url: 'http://u:pw@h', partition: 3 }, 'ev\u0000ent');
  }
  const fields = { topic: 'a\\u001bb', url: 'http://[redacted]@h', partition: 3 };
  expect(lines).toEqual(Array(4).fill([true, fields, 'ev\\u0000ent']));
});
