/**
 * The door for clients in the same process: a Transport without sockets.
 *
 * I1. Like a socket, a lane to a node is one connection: requests are handled and answered in
 *     order, and a JoinGroup that waits holds back what is behind it on its lane.
 * I2. Nothing is handled inside the caller's stack: delivery takes a turn of the event loop, and
 *     the answer reaches the caller as a promise.
 * I3. A request that was not delivered when its connection closes is never handled; one that was
 *     stays handled (rule 23). Either way its caller learns that the fate is unknown.
 */
import { refuseUnknown } from '../config/known-options.ts';
import { messageOf } from '../errors.ts';
import {
  type Lane,
  type Transport,
  TransportError,
  type TransportRequest,
} from '../kafka/transport/transport.ts';
import type { Timer } from '../ports.ts';
import type { Connection } from './api-table.ts';
import type { Broker } from './broker.ts';

interface Pending {
  readonly request: TransportRequest;
  readonly resolve: (body: Buffer) => void;
  readonly reject: (error: TransportError) => void;
  timer: Timer | null;
}

export interface InProcessOptions {
  /** Shown as the client id of group members; default `escapement`. */
  readonly clientId?: string;
}

export function brokerTransport(broker: Broker, options: InProcessOptions = {}): Transport {
  refuseUnknown('brokerTransport', options, { clientId: true });
  const clientId = options.clientId ?? 'escapement';
  const lanes = new Map<string, LaneConnection>();
  let state: 'open' | 'closed' = 'open';

  const laneTo = (node: number, lane: Lane): LaneConnection => {
    const key = `${node}/${lane}`;
    const present = lanes.get(key);
    if (present !== undefined && present.state === 'open') return present;
    const fresh = new LaneConnection(broker, node, clientId);
    lanes.set(key, fresh);
    return fresh;
  };

  return {
    request(node, request) {
      if (state === 'closed') {
        return Promise.reject(new TransportError('never-sent', 'the transport is closed'));
      }
      const id = node === 'any' ? (broker.nodes()[0]?.id ?? 0) : node;
      if (!broker.isUp(id)) {
        return Promise.reject(new TransportError('never-sent', `node ${id} is not there`));
      }
      return laneTo(id, request.lane).send(request);
    },
    learn() {},
    close() {
      state = 'closed';
      for (const lane of lanes.values()) lane.close('the transport was closed');
      return Promise.resolve();
    },
  };
}

class LaneConnection {
  state: 'open' | 'closed' = 'open';
  readonly #broker: Broker;
  readonly #connection: Connection;
  /** In the order of sending; the first one is being handled when `#handling` says so. */
  #queue: Pending[] = [];
  #handling: 'idle' | 'scheduled' | 'handling' = 'idle';

  constructor(broker: Broker, node: number, clientId: string) {
    this.#broker = broker;
    this.#connection = broker.connect(node, '127.0.0.1', () => this.close('the node went down'));
    this.#connection.clientId = clientId;
  }

  send(request: TransportRequest): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const pending: Pending = { request, resolve, reject, timer: null };
      pending.timer = this.#broker.ports.timers.after(request.timeoutMs, () => {
        this.close(`api key ${request.apiKey} was not answered in ${request.timeoutMs} ms`);
      });
      this.#queue.push(pending);
      this.#schedule();
    });
  }

  close(reason: string): void {
    this.state = 'closed';
    this.#broker.disconnect(this.#connection);
    const pending = this.#queue;
    this.#queue = [];
    for (const { reject, timer } of pending) {
      timer?.cancel();
      reject(new TransportError('unknown', `the connection was closed: ${reason}`));
    }
  }

  #schedule(): void {
    if (this.#handling !== 'idle' || this.#queue.length === 0) return;
    this.#handling = 'scheduled';
    void this.#broker.ports.timers.turn().then(() => this.#deliver());
  }

  #deliver(): void {
    const pending = this.#queue[0];
    // Closed meanwhile: what was not delivered never is (I3).
    if (pending === undefined) return;
    this.#handling = 'handling';
    const { apiKey, apiVersion, body } = pending.request;
    try {
      this.#broker.handle(this.#connection, apiKey, apiVersion, body, (answer) => {
        this.#answer(pending, answer);
      });
    } catch (error) {
      this.close(messageOf(error));
    }
  }

  #answer(pending: Pending, body: Buffer | null): void {
    if (this.state === 'closed') return;
    this.#queue.shift();
    this.#handling = 'idle';
    pending.timer?.cancel();
    pending.resolve(body ?? Buffer.alloc(0));
    this.#schedule();
  }
}
