/**
 * One connection to one broker for one lane: kafkajs opens and authenticates it, this file decides
 * the fate of every request on it. Called by `kafkajs.ts` only.
 *
 * I1. Every request settles exactly once, and its fate is `never-sent` unless its bytes were handed
 *     to kafkajs for writing.
 * I2. A link dies as a whole: a deadline that passes, a lost socket or `close` rejects all of its
 *     requests, and no request is ever written to it again.
 * I3. A kafkajs connection is used for one socket and thrown away. kafkajs keeps the bytes of a half
 *     received response over a reconnect of the same connection object, so a reused one would read
 *     the next answers out of frame; and the old socket would still feed the same parser.
 * I4. The socket is destroyed, not ended: `Connection.disconnect` waits for pending answers first,
 *     and a late answer to a request declared unknown must not be processed by anyone.
 * I5. No answer larger than `frameBytesMax` is collected, and no bytes of a broker end the process:
 *     what kafkajs throws while it reads them closes the link.
 * I6. A deadline has passed when so much time went by without a byte of an answer, and what came while
 *     the process stood still was read: a large answer on a slow line is waited for.
 *
 * ```
 *   connecting ──opened──▶ open ──┐
 *       │                         ├─ deadline, socket lost, close() ──▶ closed
 *       └─────────────────────────┘
 * ```
 */
import { asEscapementError, EscapementError } from '../../errors.ts';
import type { Timer, Timers } from '../../ports.ts';
import { APIS } from '../protocol/apis.ts';
import { isFlexible } from '../protocol/codec.ts';
import { connectionError, type LinkState } from './connection-error.ts';
import { FrameGuard } from './frame-guard.ts';
import { afterTags, requestHeader } from './frame-header.ts';
import type {
  KafkajsBroker,
  KafkajsConnection,
  KafkajsConnectionPool,
  KafkajsRequestQueue,
} from './kafkajs-shape.ts';
import type { Secrets } from './secrets.ts';
import { type Fate, type Lane, TransportError, type TransportRequest } from './transport.ts';

/** Time for TCP, TLS, ApiVersions and SASL together. */
const OPEN_LIMIT_MS = 10_000;
/** kafkajs must never time a request out before we do. */
const KAFKAJS_PATIENCE_MS = 0x7fff_ffff;
const API_VERSIONS = 18;
const NO_TAGS = Buffer.from([0]);

interface Call {
  readonly request: TransportRequest;
  readonly resolve: (body: Buffer) => void;
  readonly reject: (error: EscapementError) => void;
  timer: Timer | null;
  written: 'no' | 'yes';
}

export interface LinkOptions {
  readonly broker: KafkajsBroker;
  readonly pool: KafkajsConnectionPool;
  readonly lane: Lane;
  readonly timers: Timers;
  readonly secrets: Secrets;
  /** Largest answer. */
  readonly frameBytesMax: number;
  /** Called once, before any request of the link is rejected. */
  readonly onClosed: (link: KafkajsLink) => void;
}

export class KafkajsLink {
  readonly host: string;
  readonly port: number;
  readonly lane: Lane;
  /** Resolves when requests can be written; rejects with the reason why they cannot. */
  readonly opened: Promise<void>;
  readonly #connection: KafkajsConnection;
  readonly #timers: Timers;
  readonly #secrets: Secrets;
  readonly #onClosed: (link: KafkajsLink) => void;
  readonly #calls = new Set<Call>();
  #state: LinkState = 'connecting';
  /** Requests that were answered, but those that a broker answers before it knows who asks. */
  #served = 0;
  /** Pieces of answers that have come in. */
  #heard = 0;
  #openTimer: Timer | null = null;
  #openFailed: (error: EscapementError) => void = () => {};

  constructor(options: LinkOptions) {
    this.host = options.pool.host;
    this.port = options.pool.port;
    this.lane = options.lane;
    this.#timers = options.timers;
    this.#secrets = options.secrets;
    this.#onClosed = options.onClosed;
    this.#connection = options.pool.pool[0] as KafkajsConnection;
    this.#guard(new FrameGuard(options.frameBytesMax));
    lookOnlyWhilePending(this.#connection.requestQueue);
    this.opened = new Promise((resolve, reject) => {
      this.#openFailed = reject;
      options.broker.connect().then(
        () => {
          if (this.#state !== 'connecting') return;
          this.#open();
          resolve();
        },
        (error: unknown) => this.close(error),
      );
    });
    this.opened.catch(() => {});
    this.#openTimer = this.#timers.after(OPEN_LIMIT_MS, () =>
      this.close(new Error(`not ready within ${OPEN_LIMIT_MS} ms`)),
    );
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Requests that wait for their answers. */
  get unanswered(): number {
    return this.#calls.size;
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  send(request: TransportRequest): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const call: Call = { request, resolve, reject, timer: null, written: 'no' };
      if (this.#state === 'closed') {
        reject(new TransportError('never-sent', `The connection to ${this.address} is closed.`));
        return;
      }
      this.#calls.add(call);
      this.#watch(call);
      if (this.#state === 'open') this.#write(call);
    });
  }

  /** I6. Answers come in the order of their requests, so any byte is progress for all of them. */
  #watch(call: Call): void {
    const { timeoutMs } = call.request;
    const heard = this.#heard;
    const passed = (): void => {
      if (!this.#calls.has(call)) return;
      if (this.#heard !== heard) this.#watch(call);
      else this.close(new Error(`${nameOf(call.request)} was not answered within ${timeoutMs} ms`));
    };
    call.timer = this.#timers.after(timeoutMs, () => void this.#timers.turn().then(passed));
  }

  /** Ends the link with a reason; the fate of each of its requests follows from I1. */
  close(reason: unknown): void {
    if (this.#state === 'closed') return;
    const before = this.#state;
    this.#state = 'closed';
    this.#openTimer?.cancel();
    const socket = this.#connection.socket;
    // kafkajs clears its own queue and timers; the error makes a pending connect settle too.
    this.#connection.rejectRequests(new Error('closed'));
    this.#connection.disconnect().catch(() => {});
    socket?.destroy(before === 'connecting' ? new Error('closed while connecting') : undefined);
    this.#onClosed(this);
    this.#openFailed(this.#failure(reason, 'never-sent', before));
    for (const call of this.#calls) {
      call.timer?.cancel();
      call.reject(this.#failure(reason, call.written === 'yes' ? 'unknown' : 'never-sent', before));
    }
    this.#calls.clear();
  }

  /** I5. */
  #guard(guard: FrameGuard): void {
    const connection = this.#connection;
    const process = connection.processData;
    connection.processData = (piece) => {
      if (this.#state === 'closed') return;
      this.#heard += 1;
      try {
        guard.pass(piece);
        process.call(connection, piece);
      } catch (error) {
        this.close(error);
      }
    };
  }

  #open(): void {
    this.#state = 'open';
    this.#openTimer?.cancel();
    // kafkajs listens to 'end' and 'error' only; a socket destroyed without them would go unnoticed.
    this.#connection.socket?.once('close', () => this.close(new Error('the connection was lost')));
    // kafkajs leaves Nagle's algorithm on: a request written behind an unanswered one would wait for
    // the delayed acknowledgement of the first, up to 40 ms.
    this.#connection.socket?.setNoDelay?.(true);
    for (const call of this.#calls) this.#write(call);
  }

  #write(call: Call): void {
    // A connection that is ending rejects its requests before its status says so, and would take
    // one more request that nobody answers.
    if (this.#connection.connectionStatus !== 'connected') {
      this.close(new Error('the connection was lost'));
      return;
    }
    const connection = this.#connection;
    if (connection.sasl && !connection.isAuthenticated()) this.#writeAfterLogin(call);
    else this.#writeNow(call);
  }

  /**
   * The bytes go to the socket as they are. kafkajs would copy them twice, each time into zeroed
   * memory of up to twice their size, which is much for a Produce of some megabytes.
   */
  #writeNow(call: Call): void {
    const connection = this.#connection;
    const { apiKey, apiVersion, body } = call.request;
    const correlationId = connection.nextCorrelationId();
    const header = requestHeader(call.request, correlationId, connection.clientId);
    connection.requestQueue.push({
      entry: {
        ...{ apiKey, apiVersion, apiName: nameOf(call.request), correlationId },
        resolve: ({ payload }) => this.#answered(call, payload),
        // Not at once: kafkajs is in the middle of rejecting them all, and `close` has it do so.
        reject: (error) => queueMicrotask(() => this.close(error)),
      },
      expectResponse: true,
      requestTimeout: KAFKAJS_PATIENCE_MS,
      sendRequest: () => {
        call.written = 'yes';
        const socket = connection.socket!;
        socket.cork?.();
        socket.write(header);
        socket.write(body);
        socket.uncork?.();
      },
    });
  }

  /** By kafkajs's own way, which logs in again first. */
  #writeAfterLogin(call: Call): void {
    const { apiKey, apiVersion, body } = call.request;
    const encode = () => {
      call.written = 'yes';
      // Request header v2 ends in tagged fields, which kafkajs does not know: the empty tag list
      // travels as the first byte of the body.
      const payload = isFlexible(apiKey, apiVersion) ? Buffer.concat([NO_TAGS, body]) : body;
      return { buf: payload, buffer: payload };
    };
    this.#connection
      .send({
        request: { apiKey, apiVersion, apiName: nameOf(call.request), encode },
        response: { decode: asItIs, parse: asItIs },
        requestTimeout: KAFKAJS_PATIENCE_MS,
      })
      .then(
        (payload) => this.#answered(call, payload),
        (error: unknown) => this.close(error),
      );
  }

  #answered(call: Call, payload: unknown): void {
    if (!this.#calls.delete(call)) return;
    call.timer?.cancel();
    if (call.request.apiKey !== API_VERSIONS) this.#served++;
    try {
      call.resolve(bodyOf(call.request, payload));
    } catch (error) {
      call.reject(asEscapementError(error));
    }
  }

  #failure(reason: unknown, fate: Fate, state: LinkState): EscapementError {
    const { address, lane } = this;
    const secrets = this.#secrets;
    return connectionError({ reason, fate, state, address, lane, secrets, served: this.#served });
  }
}

/**
 * kafkajs looks for throttled requests every millisecond for as long as a connection stands, whether
 * one waits or not (tulios/kafkajs #1704): 2 % of a core for an idle process.
 */
function lookOnlyWhilePending(queue: KafkajsRequestQueue): void {
  const schedule = queue.scheduleCheckPendingRequests;
  queue.scheduleCheckPendingRequests = () => {
    if (queue.pending.length > 0) schedule.call(queue);
  };
}

function bodyOf({ apiKey, apiVersion }: TransportRequest, payload: unknown): Buffer {
  if (!Buffer.isBuffer(payload)) {
    throw new EscapementError(
      'KAFKAJS_SHAPE',
      'kafkajs did not hand over the response as a Buffer.',
    );
  }
  // KIP-511: the ApiVersions response keeps header v0, so that any client can read it.
  return apiKey !== API_VERSIONS && isFlexible(apiKey, apiVersion) ? afterTags(payload) : payload;
}

function asItIs(payload: Buffer): Buffer {
  return payload;
}

function nameOf(request: TransportRequest): string {
  const name = APIS.get(request.apiKey)?.name ?? `api ${request.apiKey}`;
  return `${name} v${request.apiVersion}`;
}
