/** The connection of those who judge what is committed. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { systemPorts } from '../../../src/ports.ts';
import { RawConnection } from '../../../topologies/billing/raw-connection.ts';

test('a request on a connection that has ended between two requests is refused', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connection = await RawConnection.to(`127.0.0.1:${port}`);
  connection.close();
  // Until its end was heard, by which a request under way would be refused.
  for (let turn = 0; turn < 10; turn += 1) await systemPorts.timers.turn();
  await expect(connection.leaders('any')).rejects.toThrow('the connection was closed');
  server.close();
});
