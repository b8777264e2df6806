/**
 * The one seam between escapement and a Kafka cluster.
 *
 * Above it everything is our own protocol code; below it there is kafkajs (`kafkajs.ts`), the
 * embedded broker in process (`src/broker/transport.ts`) or a fault injector (`faulty.ts`).
 *
 * I1. `body` is the message body alone, without request or response header and without the header's
 *     tag bytes: the adapter writes and strips headers (flexible versions: `isFlexible`).
 * I2. After a rejected request the caller knows its fate: `TransportError.fate`.
 * I3. A broker answers one connection in order, so lanes never share a socket: a JoinGroup that
 *     waits must not hold back a commit.
 */
import { EscapementError } from '../../errors.ts';

/**
 * `fetch`: the long polls. `group`: Join, Sync, Heartbeat, Leave. `read`: Fetch requests that never
 * wait (restore, end offsets, the first fetch of a partition), which would queue behind a long poll
 * on one socket and hold commits back with their bytes on the other. `transaction-N`: the steps of
 * tasks that share lane N, for a broker works on one request of a connection at a time.
 * `transaction`: everything else.
 */
export type Lane = 'fetch' | 'group' | 'transaction' | `transaction-${number}` | 'read';

export interface Node {
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

export interface TransportRequest {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly body: Buffer;
  /**
   * Milliseconds without a byte of an answer after which the connection is closed and the fate is
   * unknown.
   */
  readonly timeoutMs: number;
  readonly lane: Lane;
}

export interface Transport {
  /** Sends to one node, or to any bootstrap broker for `'any'`. Rejects with `TransportError` only. */
  request(node: number | 'any', request: TransportRequest): Promise<Buffer>;
  /** Tells the transport the nodes of a metadata answer, so that `request` can reach them by id. */
  learn(nodes: readonly Node[]): void;
  /** Closes every connection; pending requests reject. */
  close(): Promise<void>;
}

export type Fate = 'never-sent' | 'unknown';

export class TransportError extends EscapementError {
  override readonly name = 'TransportError';
  readonly fate: Fate;

  constructor(fate: Fate, message: string, cause?: unknown) {
    super(fate === 'unknown' ? 'REQUEST_FATE_UNKNOWN' : 'CONNECTION_FAILED', message, { cause });
    this.fate = fate;
  }
}
