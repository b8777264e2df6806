/** Rolling restarts on the embedded broker, over TCP. */
import { Broker } from '../../src/broker/broker.ts';
import { listen } from '../../src/broker/tcp.ts';
import { rollingRestart } from './rolling-restart.ts';
import { steadyPorts } from './steady-time.ts';

rollingRestart('the embedded broker', async () => {
  const broker = new Broker({ ports: steadyPorts, markerDelayMs: 2 });
  const { port, close } = await listen(broker, { host: '127.0.0.1', port: 0 });
  return { bootstrap: `127.0.0.1:${port}`, close };
});
