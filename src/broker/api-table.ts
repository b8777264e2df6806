/**
 * Which handler serves which API: the one place where bodies are decoded and encoded.
 *
 * Handler files call `serve` with a message layout and a function over plain objects; the broker
 * calls `handle` with bytes.
 */
import { EscapementError } from '../errors.ts';
import { decodeRequest, encodeResponse } from '../kafka/protocol/codec.ts';
import type { ServedApi } from '../kafka/protocol/schema.ts';

export interface Connection {
  readonly id: number;
  /** The node that the client talks to. */
  readonly node: number;
  readonly host: string;
  /** From the request header; the doors set it before each request. */
  clientId: string;
  /** Set by the door: the node went down, and its connections with it. */
  cut: () => void;
  /**
   * Set by a handler whose request waits and has no effect but its answer: called when the
   * connection is gone, so that nothing is kept for it.
   */
  abandon: (() => void) | null;
}

export interface Call {
  readonly connection: Connection;
  readonly version: number;
}

/** `null` ends a request that has no answer (Produce with acks 0). */
export type Reply = (body: Buffer | null) => void;

export type Handler<Received, Body> = (
  request: Received,
  answer: (body: Body | null) => void,
  call: Call,
) => void;

interface Entry {
  readonly key: number;
  readonly name: string;
  readonly versions: readonly [number, number];
  run(call: Call, body: Buffer, reply: Reply): void;
}

/** Lowest and highest version by API key, for those that the broker offers. */
export type OfferedVersions = ReadonlyMap<number, readonly [min: number, max: number]>;

export class ApiTable {
  readonly #entries = new Map<number, Entry>();
  readonly #offered: OfferedVersions | null;

  /** With `offered`, what lies outside of it is not served although its layout is known. */
  constructor(offered: OfferedVersions | null = null) {
    this.#offered = offered;
  }

  serve<Received, Body>(
    api: ServedApi<unknown, unknown, Received, Body>,
    handler: Handler<Received, NoInfer<Body>>,
  ): void {
    const [min, max] = this.#offered?.get(api.key) ?? api.versions;
    this.#entries.set(api.key, {
      key: api.key,
      name: api.name,
      versions: [Math.max(min, api.versions[0]), Math.min(max, api.versions[1])],
      run: (call, body, reply) => {
        handler(
          decodeRequest(api, call.version, body),
          (answer) => reply(answer === null ? null : encodeResponse(api, call.version, answer)),
          call,
        );
      },
    });
  }

  /** Key and version range of everything served, ascending by key. */
  offered(): { key: number; min: number; max: number }[] {
    return [...this.#entries.values()]
      .map(({ key, versions }) => ({ key, min: versions[0], max: versions[1] }))
      .sort((a, b) => a.key - b.key);
  }

  supports(key: number, version: number): boolean {
    const entry = this.#entries.get(key);
    return entry !== undefined && version >= entry.versions[0] && version <= entry.versions[1];
  }

  handle(key: number, call: Call, body: Buffer, reply: Reply): void {
    const entry = this.#entries.get(key);
    if (entry === undefined || !this.supports(key, call.version)) {
      throw new EscapementError(
        'PROTOCOL_MALFORMED',
        `the embedded broker does not serve ${entry?.name ?? `api key ${key}`} version ${call.version}; ask ApiVersions first`,
      );
    }
    entry.run(call, body, reply);
  }
}
