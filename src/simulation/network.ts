/**
 * The network between simulated processes and the embedded broker: connections with latency that
 * lose, delay and repeat what they carry, by plan.
 *
 * `transport` gives a process its way to the broker. Each lane to a node is a connection, as with
 * sockets. The plan is asked once per request.
 *
 * I1. A connection delivers requests, and their answers, in the order they were sent; across
 *     connections there is no order.
 * I2. The broker works on one request of a connection at a time.
 * I3. What was sent may be delivered after its sender has given up the connection, or died: only
 *     answers die with it.
 * I4. Bytes are never changed.
 */

import type { Connection } from '../broker/api-table.ts';
import type { Broker } from '../broker/broker.ts';
import { messageOf } from '../errors.ts';
import { heartbeat } from '../kafka/protocol/heartbeat.ts';
import {
  type Lane,
  type Transport,
  TransportError,
  type TransportRequest,
} from '../kafka/transport/transport.ts';
import type { Timer } from '../ports.ts';
import type { History } from './history.ts';
import { refusalBytes } from './refusals.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { VirtualTime } from './virtual-time.ts';

/** How a process learns that a connection is broken: it is reset, or nothing comes any more. */
export type Loss = 'reset' | 'silence';

export type Strike =
  /** The process dies. `before`: nothing was sent; `applied`: the broker has done it; `answered`. */
  | { readonly kind: 'crash'; readonly when: 'before' | 'applied' | 'answered' }
  | { readonly kind: 'lost-request'; readonly loss: Loss }
  | { readonly kind: 'lost-answer'; readonly loss: Loss }
  /** Delivered that much later, with everything behind it on its connection. */
  | { readonly kind: 'late-request'; readonly delayMs: number }
  | { readonly kind: 'late-answer'; readonly delayMs: number }
  /** Delivered twice, one right after the other; the first answer counts. */
  | { readonly kind: 'duplicate' }
  /** Delivered once more that much later, on a connection of its own; nobody hears the answer. */
  | { readonly kind: 'replay'; readonly delayMs: number }
  /** The connection closes: what is on it is delivered, and no answer comes. */
  | { readonly kind: 'close' }
  /** The broker answers with an error code: it has not done what was asked, or it has. */
  | { readonly kind: 'refuse'; readonly when: 'instead' | 'after'; readonly errorCode: number };

export interface Passage {
  readonly process: SimulatedProcess;
  readonly node: number;
  readonly request: TransportRequest;
  /** Of this process and API, from 1. */
  readonly ordinal: number;
  readonly sentAtMs: number;
}

export interface NetworkOptions {
  readonly broker: Broker;
  readonly time: VirtualTime;
  readonly random: SeededRandom;
  readonly history: History;
  /** Asked once per request; null: nothing happens to it. */
  readonly strike: (passage: Passage) => Strike | null;
  readonly latencyMs: readonly [least: number, most: number];
  /** Told when the broker has carried out a request, whether or not its answer arrives. */
  readonly observe: (passage: Passage, answer: Buffer) => void;
}

interface Pending {
  readonly passage: Passage;
  readonly strike: Strike | null;
  readonly resolve: (body: Buffer) => void;
  readonly reject: (error: TransportError) => void;
  timer: Timer | null;
}

export class Network {
  readonly options: NetworkOptions;
  readonly #links = new WeakMap<SimulatedProcess, Map<string, Link>>();

  constructor(options: NetworkOptions) {
    this.options = options;
  }

  /** Open connections of a process. */
  connections(process: SimulatedProcess): number {
    return [...(this.#links.get(process)?.values() ?? [])].filter(({ isOpen }) => isOpen).length;
  }

  transport(process: SimulatedProcess): Transport {
    const { broker, time } = this.options;
    const links = new Map<string, Link>();
    this.#links.set(process, links);
    const counts = new Map<number, number>();
    let state: 'open' | 'closed' = 'open';
    const linkTo = (node: number, lane: Lane): Link => {
      const key = `${node}/${lane}`;
      const present = links.get(key);
      if (present?.isOpen) return present;
      const fresh = new Link(this.options, process, node, lane);
      links.set(key, fresh);
      return fresh;
    };
    return {
      request: (asked, request) =>
        new Promise((resolve, reject) => {
          if (process.isDead) return;
          if (state === 'closed') {
            reject(new TransportError('never-sent', 'the transport is closed'));
            return;
          }
          const nodes = broker.nodes().map(({ id }) => id);
          const node = asked === 'any' ? nodes[this.options.random.below(nodes.length)] : asked;
          if (node === undefined || !nodes.includes(node)) {
            reject(new TransportError('never-sent', `no connection to node ${node ?? asked}`));
            return;
          }
          const ordinal = (counts.get(request.apiKey) ?? 0) + 1;
          counts.set(request.apiKey, ordinal);
          const passage = { process, node, request, ordinal, sentAtMs: time.now + process.lagMs };
          linkTo(node, request.lane).send({
            passage,
            strike: this.options.strike(passage),
            resolve,
            reject,
            timer: null,
          });
        }),
      learn() {},
      close() {
        state = 'closed';
        for (const link of links.values()) link.close('the transport was closed');
        return Promise.resolve();
      },
    };
  }
}

class Link {
  isOpen = true;
  readonly #options: NetworkOptions;
  readonly #process: SimulatedProcess;
  readonly #lane: Lane;
  readonly #connection: Connection;
  readonly #pending = new Set<Pending>();
  /** Delivered and waiting for the broker, which works on one at a time (I2). */
  readonly #queue: Pending[] = [];
  #isBusy = false;
  /** Nothing sent after this moment arrives, and no answer either. */
  #isDeaf = false;
  #isCut = false;
  #lastArrival = 0;
  #lastAnswer = 0;

  constructor(options: NetworkOptions, process: SimulatedProcess, node: number, lane: Lane) {
    this.#options = options;
    this.#process = process;
    this.#lane = lane;
    this.#connection = options.broker.connect(node, '127.0.0.1', () => this.#cut());
    this.#connection.clientId = process.name;
  }

  send(pending: Pending): void {
    const { time } = this.#options;
    const { passage, strike } = pending;
    const { request } = passage;
    this.#note(passage, `-> ${strike?.kind ?? ''}`, request.body);
    if (strike?.kind === 'crash' && strike.when === 'before') {
      this.#process.kill();
      return;
    }
    this.#pending.add(pending);
    const { lagMs } = this.#process;
    pending.timer = time.after(lagMs + request.timeoutMs, () => {
      this.#process.enter(() =>
        this.close(`api key ${request.apiKey} was not answered in ${request.timeoutMs} ms`),
      );
    });
    if (this.#isDeaf) return;
    switch (strike?.kind) {
      case 'lost-request':
        this.#break(strike.loss);
        return;
      case 'refuse':
        if (strike.when === 'after') this.#travel(pending, 0);
        else this.#refuse(pending, refusalBytes(request, strike.errorCode));
        return;
      case 'late-request':
        this.#travel(pending, strike.delayMs);
        return;
      case 'close':
        this.#travel(pending, 0);
        this.#break('reset');
        return;
      case 'replay':
        this.#travel(pending, 0);
        time.after(this.#lastArrival - time.now + strike.delayMs, () => this.#replay(passage));
        return;
      default:
        this.#travel(pending, 0);
    }
  }

  #refuse(pending: Pending, body: Buffer): void {
    // A heartbeat changes nothing: who was told of a rebalance has asked the group, whoever answers.
    const { passage } = pending;
    if (passage.request.apiKey === heartbeat.key) this.#options.observe(passage, body);
    this.#answer(pending, body);
  }

  close(reason: string): void {
    this.isOpen = false;
    this.#isDeaf = true;
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const { timer, reject } of pending) {
      timer?.cancel();
      reject(new TransportError('unknown', `the connection was closed: ${reason}`));
    }
  }

  #travel(pending: Pending, delayMs: number): void {
    const { time } = this.#options;
    const arrival = time.now + this.#process.lagMs + this.#latency() + delayMs;
    this.#lastArrival = Math.max(this.#lastArrival, arrival);
    time.after(this.#lastArrival - time.now, () => {
      if (this.#isCut) return;
      this.#queue.push(pending);
      this.#serve();
    });
  }

  #replay(passage: Passage): void {
    const { broker, observe } = this.#options;
    const { node, request } = passage;
    if (!broker.isUp(node)) return;
    const { apiKey, apiVersion, body } = request;
    const connection = broker.connect(node, '127.0.0.1');
    this.#note(passage, '-> replayed', body);
    broker.handle(connection, apiKey, apiVersion, body, (answer) => {
      if (answer !== null) observe(passage, answer);
      broker.disconnect(connection);
    });
  }

  #serve(): void {
    if (this.#isBusy) return;
    const pending = this.#queue.shift();
    if (pending === undefined) return;
    this.#isBusy = true;
    this.#handle(pending, (body) => {
      this.#isBusy = false;
      this.#served(pending, body);
      if (this.#queue.length > 0) this.#options.time.after(0, () => this.#serve());
    });
  }

  #handle(pending: Pending, reply: (body: Buffer | null) => void): void {
    const { broker, observe } = this.#options;
    const { passage, strike } = pending;
    const { apiKey, apiVersion, body } = passage.request;
    const handle = (answered: (answer: Buffer | null) => void): void => {
      broker.handle(this.#connection, apiKey, apiVersion, body, (answer) => {
        if (answer !== null) observe(passage, answer);
        answered(answer);
      });
    };
    try {
      handle(reply);
      if (strike?.kind === 'duplicate') handle(() => {});
    } catch (error) {
      this.#break('reset');
      this.#note(passage, `!! ${messageOf(error)}`);
    }
  }

  #served(pending: Pending, body: Buffer | null): void {
    const { passage, strike } = pending;
    if (strike?.kind === 'crash' && strike.when === 'applied') {
      this.#process.kill();
      return;
    }
    if (strike?.kind === 'lost-answer') {
      this.#break(strike.loss);
      return;
    }
    if (this.#isDeaf) return;
    if (strike?.kind === 'refuse') {
      this.#answer(pending, refusalBytes(passage.request, strike.errorCode));
    } else this.#answer(pending, body ?? Buffer.alloc(0));
  }

  #answer(pending: Pending, body: Buffer): void {
    const { time } = this.#options;
    const { passage, strike } = pending;
    const delayMs = strike?.kind === 'late-answer' ? strike.delayMs : 0;
    this.#lastAnswer = Math.max(this.#lastAnswer, time.now + this.#latency() + delayMs);
    time.after(this.#lastAnswer - time.now, () => {
      if (this.#isDeaf) return;
      this.#process.enter(() => {
        if (!this.#pending.delete(pending)) return;
        this.#note(passage, '<-', body);
        pending.timer?.cancel();
        if (strike?.kind === 'crash') this.#process.kill();
        else pending.resolve(body);
      });
    });
  }

  /** The node went down: what has not arrived never does. */
  #cut(): void {
    this.#isCut = true;
    this.#queue.length = 0;
    this.#break('reset');
  }

  /** What is under way is delivered; nothing sent from now on is, and no answer. */
  #break(loss: Loss): void {
    if (this.#isDeaf) return;
    this.#isDeaf = true;
    if (loss === 'silence') return;
    this.#options.time.after(this.#latency(), () => {
      this.#process.enter(() => this.close('it was reset'));
    });
  }

  #latency(): number {
    const [least, most] = this.#options.latencyMs;
    return this.#options.random.between(least, most);
  }

  #note(passage: Passage, what: string, bytes?: Buffer): void {
    const { history, time } = this.#options;
    const { process, node, request, ordinal } = passage;
    const name = `${request.apiKey}v${request.apiVersion}#${ordinal}`;
    history.note(time.now, process.name, `${node}/${this.#lane} ${name} ${what}`, bytes);
  }
}
