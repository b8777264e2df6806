import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { freePorts, portsBeside } from './free-ports.ts';

test.each([
  ['32768\t60999\n', { first: 10_000, last: 32_767 }],
  // macOS and Windows, and a Linux that was given more.
  ['49152 65535', { first: 10_000, last: 49_151 }],
  ['15000 65000', { first: 10_000, last: 14_999 }],
  ['1024 40000', { first: 40_001, last: 65_535 }],
  // Nothing is left beside them.
  ['1024 65535', { first: 10_000, last: 32_767 }],
  ['10000 65000', { first: 10_000, last: 32_767 }],
])('ports of servers lie beside those of outgoing connections: %j', (outgoing, range) => {
  expect(portsBeside(outgoing)).toEqual(range);
});

test('free ports are all different, also those of two calls, and nobody listens on them', async () => {
  const ports = [...(await freePorts(40)), ...(await freePorts(40))];
  expect(new Set(ports).size).toBe(80);
  for (const port of ports) {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.on('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    await new Promise((resolve) => server.close(resolve));
  }
});
