/**
 * Which version of an API to speak with which node: the highest that both sides know.
 *
 * I1. Versions are asked for once per node and forgotten when its connection fails: the node may
 *     come back upgraded or downgraded.
 * I2. ApiVersions travels on the `transaction` lane, which no waiting request ever holds.
 */
import { EscapementError } from '../../errors.ts';
import { apiVersions } from '../protocol/api-versions.ts';
import { decodeResponse, encodeRequest } from '../protocol/codec.ts';
import { brokerError } from '../protocol/error-codes.ts';
import type { Api } from '../protocol/schema.ts';
import type { Transport } from '../transport/transport.ts';

export type NodeId = number | 'any';

/** The first version that brokers of the supported range (3.3 on) all know. */
const ASKED_VERSION = 3;
const UNSUPPORTED_VERSION = 35;
/** KIP-511; brokers show it in their request metrics. */
const CLIENT_VERSION = '0.1.0';

type Offered = ReadonlyMap<number, readonly [min: number, max: number]>;

export interface VersionRange {
  /** Below it the request would lose a field that must not be lost. */
  readonly versionMin?: number;
  readonly versionMax?: number;
}

export class NodeVersions {
  readonly #transport: Transport;
  readonly #timeoutMs: number;
  readonly #offered = new Map<NodeId, Offered>();
  readonly #asking = new Map<NodeId, Promise<Offered>>();

  constructor(transport: Transport, timeoutMs: number) {
    this.#transport = transport;
    this.#timeoutMs = timeoutMs;
  }

  /** Null when the node has not been asked yet. */
  known(node: NodeId, api: Api, range: VersionRange): number | null {
    const offered = this.#offered.get(node);
    return offered === undefined ? null : choose(node, api, offered, range);
  }

  async ask(node: NodeId): Promise<void> {
    let asking = this.#asking.get(node);
    if (asking === undefined) {
      asking = this.#ask(node);
      this.#asking.set(node, asking);
      const finished = () => this.#asking.delete(node);
      asking.then(finished, finished);
    }
    await asking;
  }

  forget(node: NodeId): void {
    this.#offered.delete(node);
  }

  async #ask(node: NodeId): Promise<Offered> {
    let version = ASKED_VERSION;
    let answer = await this.#request(node, version);
    // KIP-511: a broker that does not know the version answers in version 0 with this code.
    if (answer.readInt16BE(0) === UNSUPPORTED_VERSION) {
      version = 0;
      answer = await this.#request(node, version);
    }
    const { errorCode, apiKeys } = decodeResponse(apiVersions, version, answer);
    if (errorCode !== 0) throw brokerError(errorCode, `ApiVersions of node ${node}`);
    const offered = new Map(
      apiKeys.map(({ apiKey, minVersion, maxVersion }) => [
        apiKey,
        [minVersion, maxVersion] as const,
      ]),
    );
    this.#offered.set(node, offered);
    return offered;
  }

  #request(node: NodeId, apiVersion: number): Promise<Buffer> {
    const software =
      apiVersion < 3
        ? {}
        : { clientSoftwareName: 'escapement', clientSoftwareVersion: CLIENT_VERSION };
    return this.#transport.request(node, {
      apiKey: apiVersions.key,
      apiVersion,
      body: encodeRequest(apiVersions, apiVersion, software),
      timeoutMs: this.#timeoutMs,
      lane: 'transaction',
    });
  }
}

function choose(node: NodeId, api: Api, offered: Offered, range: VersionRange): number {
  const ours = [
    Math.max(api.versions[0], range.versionMin ?? 0),
    Math.min(api.versions[1], range.versionMax ?? api.versions[1]),
  ] as const;
  const theirs = offered.get(api.key);
  const version = theirs === undefined ? -1 : Math.min(ours[1], theirs[1]);
  if (theirs !== undefined && version >= Math.max(ours[0], theirs[0])) return version;
  const found = theirs === undefined ? 'does not offer it' : `offers ${theirs[0]} to ${theirs[1]}`;
  throw new EscapementError(
    'BROKER_TOO_OLD',
    `escapement speaks ${api.name} in versions ${ours[0]} to ${ours[1]}, and node ${node} ` +
      `${found}. Use a Kafka broker from 3.3 to 4.3.`,
    { at: { node: String(node) } },
  );
}
