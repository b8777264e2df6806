/** Rolling restarts on the embedded broker, over TCP. */
import { startEmbedded } from '../integration/embedded.ts';
import { rollingRestart } from './rolling-restart.ts';
import { steadyPorts } from './steady-time.ts';

rollingRestart('the embedded broker', () =>
  startEmbedded({ ports: steadyPorts, markerDelayMs: 2 }),
);
