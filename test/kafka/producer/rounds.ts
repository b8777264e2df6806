/** Counts the requests of a transport, and how many of them had to wait for each other. */
import type { Transport } from '../../../src/kafka/transport/transport.ts';

export class Rounds {
  /** Api keys of the requests since `restart`, in order. */
  requests: number[] = [];
  /** Longest chain of requests that each began after the answer of the one before. */
  serial = 0;
  #generation = 0;

  restart(): void {
    this.requests = [];
    this.serial = 0;
    this.#generation += 1;
  }

  over(inner: Transport): Transport {
    return {
      learn: (nodes) => inner.learn(nodes),
      close: () => inner.close(),
      request: async (node, request) => {
        const generation = this.#generation;
        const depth = this.serial + 1;
        this.requests.push(request.apiKey);
        try {
          return await inner.request(node, request);
        } finally {
          if (generation === this.#generation) this.serial = Math.max(this.serial, depth);
        }
      },
    };
  }
}
