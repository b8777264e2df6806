/**
 * Which version of an API to speak with which node, the highest that both sides know, and which
 * features the cluster has finalized as far as the node knows.
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

interface Offered {
  readonly versions: ReadonlyMap<number, readonly [min: number, max: number]>;
  /** Level by name (KIP-584); empty when the node does not tell. */
  readonly features: ReadonlyMap<string, number>;
}

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

  /** Level of a feature that the cluster has finalized: 0 when it has not; null when not asked yet. */
  feature(node: NodeId, name: string): number | null {
    const offered = this.#offered.get(node);
    return offered === undefined ? null : (offered.features.get(name) ?? 0);
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
    const { errorCode, apiKeys, ...features } = decodeResponse(apiVersions, version, answer);
    if (errorCode !== 0) throw brokerError(errorCode, `ApiVersions of node ${node}`);
    // Without an epoch the levels say nothing.
    const levels = features.finalizedFeaturesEpoch < 0 ? [] : features.finalizedFeatures;
    const offered: Offered = {
      versions: new Map(
        apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]]),
      ),
      features: new Map(levels.map(({ name, maxVersionLevel }) => [name, maxVersionLevel])),
    };
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
  const lowest = Math.max(api.versions[0], range.versionMin ?? 0);
  const newest = api.clientVersionMax ?? api.versions[1];
  const highest = Math.min(newest, range.versionMax ?? newest);
  const theirs = offered.versions.get(api.key);
  if (theirs !== undefined) {
    const version = Math.min(highest, theirs[1]);
    if (version >= Math.max(lowest, theirs[0])) return version;
  }
  const needed =
    lowest === highest ? `version ${lowest}` : `a version from ${lowest} to ${highest}`;
  const found =
    theirs === undefined
      ? `does not offer ${api.name}`
      : `offers ${api.name} in versions ${theirs[0]} to ${theirs[1]}`;
  throw new EscapementError(
    'BROKER_TOO_OLD',
    `Node ${node} ${found}, and escapement needs ${needed}. Use Kafka brokers from 3.3 to 4.3.`,
    { at: { node: String(node) } },
  );
}
