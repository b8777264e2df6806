/**
 * Sees a case that never ends. A loop that does not end cannot be interrupted from its own thread, so
 * another one watches: it says which bytes it was, and ends the process.
 */
import { Worker } from 'node:worker_threads';

/**
 * Not a measure of speed, nor of the machine's time, which also passes while the process stands still:
 * looks of a thread that runs, a second apart, while the other one gets no further.
 */
const LOOKS_MAX = 120;
const BYTES_MAX = 65_536;

const WATCH = `
const { workerData: { state, bytes, name, looksMax } } = require('node:worker_threads');
const { writeSync } = require('node:fs');
let seen = -1;
let looks = 0;
setInterval(() => {
  const now = Atomics.load(state, 0);
  if (now !== seen || Atomics.load(state, 1) < 0) {
    seen = now;
    looks = 0;
  } else if ((looks += 1) > looksMax) {
    const [target, length] = [Atomics.load(state, 2), Atomics.load(state, 1)];
    const hex = Buffer.from(bytes.slice(0, length)).toString('hex');
    const names = JSON.parse(name);
    writeSync(2, '\\n' + names[target] + ': does not end\\n  again: npm run fuzz -- --target \\'' +
      names[target] + '\\' --replay ' + hex + '\\n');
    process.kill(process.pid, 'SIGKILL');
  }
}, 1000);
`;

export class Watchdog {
  readonly #state = new Int32Array(new SharedArrayBuffer(12));
  readonly #bytes = new Uint8Array(new SharedArrayBuffer(BYTES_MAX));
  readonly #worker: Worker;

  constructor(names: readonly string[]) {
    this.#state[1] = -1;
    this.#worker = new Worker(WATCH, {
      eval: true,
      workerData: {
        state: this.#state,
        bytes: this.#bytes,
        name: JSON.stringify(names),
        looksMax: LOOKS_MAX,
      },
    });
    this.#worker.unref();
  }

  /** A case begins. */
  begin(target: number, input: Buffer): void {
    const length = Math.min(input.length, BYTES_MAX);
    this.#bytes.set(length === input.length ? input : input.subarray(0, length));
    this.#state[2] = target;
    Atomics.store(this.#state, 1, length);
    Atomics.add(this.#state, 0, 1);
  }

  stop(): Promise<number> {
    return this.#worker.terminate();
  }
}
