/** `run` on the embedded broker: what it refuses. What it does is proven in `exactness/`. */
import { Broker } from '../src/broker/broker.ts';
import { listen } from '../src/broker/tcp.ts';
import { systemPorts } from '../src/ports.ts';
import { badInput } from './integration/bad-input.ts';

badInput('the embedded broker', async () => {
  const broker = new Broker({ ports: systemPorts });
  const { port, close } = await listen(broker, { host: '127.0.0.1', port: 0 });
  return { bootstrap: `127.0.0.1:${port}`, close };
});
