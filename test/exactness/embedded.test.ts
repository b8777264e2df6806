/** The crash matrix on the embedded broker, over TCP. */
import { Broker } from '../../src/broker/broker.ts';
import { listen } from '../../src/broker/tcp.ts';
import { crashMatrix } from './crash-matrix.ts';
import { steadyPorts } from './steady-time.ts';

for (const transactionVersion of [1, 2] as const) {
  const name = `the embedded broker with transactions v${transactionVersion}`;
  crashMatrix(name, transactionVersion, async () => {
    const broker = new Broker({ ports: steadyPorts, markerDelayMs: 2, transactionVersion });
    const { port, close } = await listen(broker, { host: '127.0.0.1', port: 0 });
    return { bootstrap: `127.0.0.1:${port}`, close };
  });
}
