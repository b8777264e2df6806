/** A transport whose answers a test writes: no broker, no sockets. */
import { apiVersions } from '../../../src/kafka/protocol/api-versions.ts';
import { decodeRequest, encodeResponse } from '../../../src/kafka/protocol/codec.ts';
import type { ResponseBody, ServedApi } from '../../../src/kafka/protocol/schema.ts';
import type { Node, Transport, TransportRequest } from '../../../src/kafka/transport/transport.ts';

export interface Asked {
  readonly node: number | 'any';
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly lane: string;
  readonly timeoutMs: number;
}

type Answerer = (request: TransportRequest, node: number | 'any') => Promise<Buffer> | Buffer;

export class ScriptedTransport implements Transport {
  readonly asked: Asked[] = [];
  readonly nodes = new Map<number, Node>();
  closed = 0;
  readonly #answers = new Map<number, Answerer>();
  readonly #offered: { apiKey: number; minVersion: number; maxVersion: number }[] = [];

  constructor() {
    this.#answers.set(apiVersions.key, (request) =>
      encodeResponse(apiVersions, request.apiVersion, { errorCode: 0, apiKeys: this.#offered }),
    );
  }

  /** Answers an API in the versions that the broker is to offer. */
  on<A extends ServedApi>(
    api: A,
    versions: readonly [number, number],
    answer: (
      request: A extends ServedApi<unknown, unknown, infer Received, unknown> ? Received : never,
      node: number | 'any',
    ) => Promise<ResponseBody<A>> | ResponseBody<A>,
  ): this {
    this.#offered.push({ apiKey: api.key, minVersion: versions[0], maxVersion: versions[1] });
    this.#answers.set(api.key, async ({ apiVersion, body }, node) => {
      const request = decodeRequest(api, apiVersion, body) as never;
      return encodeResponse(api as ServedApi, apiVersion, await answer(request, node));
    });
    return this;
  }

  /** Answers an API with bytes, or fails it. */
  onRaw(apiKey: number, answer: Answerer): this {
    this.#answers.set(apiKey, answer);
    return this;
  }

  count(apiKey: number): number {
    return this.asked.filter((asked) => asked.apiKey === apiKey).length;
  }

  async request(node: number | 'any', request: TransportRequest): Promise<Buffer> {
    const { apiKey, apiVersion, lane, timeoutMs } = request;
    this.asked.push({ node, apiKey, apiVersion, lane, timeoutMs });
    const answer = this.#answers.get(apiKey);
    if (answer === undefined) throw new Error(`the script has no answer for api ${apiKey}`);
    return answer(request, node);
  }

  learn(nodes: readonly Node[]): void {
    for (const node of nodes) this.nodes.set(node.id, node);
  }

  async close(): Promise<void> {
    this.closed++;
  }
}
