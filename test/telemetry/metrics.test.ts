import { expect, test } from 'vitest';
import { METRICS, type MetricName, Metrics } from '../../src/telemetry/metrics.ts';

test('a snapshot has every metric, and what was counted after it does not change it', () => {
  const metrics = new Metrics();
  metrics.get('transactions.committed').add();
  metrics.get('requests.sent').of('Produce').add(3);
  const before = metrics.snapshot();
  metrics.get('transactions.committed').add();
  metrics.get('requests.sent').of('Produce').add();
  metrics.get('requests.sent').of('EndTxn').add();
  expect(Object.keys(before)).toEqual(Object.keys(METRICS));
  expect(before['transactions.committed']).toBe(1);
  expect(before['requests.sent']).toEqual({ Produce: 3 });
  expect(metrics.snapshot()['requests.sent']).toEqual({ Produce: 4, EndTxn: 1 });
});

test('a gauge that is split shows the parts of now, and none that are gone', () => {
  const metrics = new Metrics();
  const lag = metrics.get('records.lag');
  lag.show([
    ['in-0', 3],
    ['in-1', 4],
  ]);
  lag.show([['in-1', 0]]);
  expect(metrics.snapshot()['records.lag']).toEqual({ 'in-1': 0 });
});

test('a metric that is split is an object of numbers, every other one a number', () => {
  const snapshot = new Metrics().snapshot();
  for (const name of Object.keys(METRICS) as MetricName[]) {
    expect([name, snapshot[name]]).toEqual([name, METRICS[name].by === null ? 0 : {}]);
  }
});
