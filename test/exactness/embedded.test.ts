/** The crash matrix on the embedded broker, over TCP. */
import { startEmbedded } from '../integration/embedded.ts';
import { crashMatrix } from './crash-matrix.ts';
import { steadyPorts } from './steady-time.ts';

for (const transactionVersion of [1, 2] as const) {
  const name = `the embedded broker with transactions v${transactionVersion}`;
  crashMatrix(name, transactionVersion, () =>
    startEmbedded({ ports: steadyPorts, markerDelayMs: 2, transactionVersion }),
  );
}
