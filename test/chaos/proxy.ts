/**
 * A TCP proxy before one listener of a broker, which knows Kafka's frames: a plan says what becomes
 * of each request and of its answer, and connections may be given a short life.
 *
 * I1. Bytes are never changed, and the order of a connection is kept in both directions: an answer
 *     that is held holds the ones behind it.
 * I2. A fault that closes a connection closes it for every request under way on it.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { correlationOf, FrameReader, requestHead } from './frames.ts';
import { NO_FAULTS, type ProxiedRequest, type ProxyFault, type ProxyPlan } from './proxy-faults.ts';

/** How long a broker's side may still deliver what was forwarded before a close. */
const LINGER_MS = 2_000;

export interface Injected {
  readonly request: ProxiedRequest;
  readonly fault: ProxyFault;
}

export interface ProxyOptions {
  readonly node: number;
  /** Of the broker's listener. */
  readonly target: number;
  /** Number of a new connection. Default: counted by this proxy. */
  readonly number?: () => number;
  /** Hears of each fault when it strikes. */
  readonly injected?: (injected: Injected) => void;
}

export interface ProxyCounts {
  readonly connections: number;
  /** Connections that ended because their time had come. */
  readonly expired: number;
  /** Connections that a fault closed. */
  readonly cut: number;
  /** Answers that the client waited for and never got, by api key. */
  readonly lostAnswers: ReadonlyMap<number, number>;
}

export class ChaosProxy {
  readonly #options: ProxyOptions;
  readonly #server: Server;
  readonly #connections = new Set<ProxiedConnection>();
  readonly #lostAnswers = new Map<number, number>();
  #connected = 0;
  #expired = 0;
  #cut = 0;
  #plan: ProxyPlan = NO_FAULTS;
  #lifeMs: (() => number) | null = null;

  private constructor(options: ProxyOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true }, (client) => this.#accept(client));
  }

  /** Listens on a port of 127.0.0.1. */
  static async listen(port: number, options: ProxyOptions): Promise<ChaosProxy> {
    const proxy = new ChaosProxy(options);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(port, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get counts(): ProxyCounts {
    return {
      connections: this.#connected,
      expired: this.#expired,
      cut: this.#cut,
      lostAnswers: this.#lostAnswers,
    };
  }

  setPlan(plan: ProxyPlan): void {
    this.#plan = plan;
  }

  /** Every connection, also those that stand, ends after a time drawn by `lifeMs`; null: it stays. */
  setLives(lifeMs: (() => number) | null): void {
    this.#lifeMs = lifeMs;
    for (const connection of this.#connections) connection.setLife(lifeMs?.() ?? null);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.close();
    await closed;
  }

  #accept(client: Socket): void {
    this.#connected += 1;
    const connection = new ProxiedConnection(client, {
      target: this.#options.target,
      judge: (request) => this.#plan(request),
      node: this.#options.node,
      number: this.#options.number?.() ?? this.#connected,
      struck: (injected) => {
        if (injected.fault.kind !== 'hold-answer' && injected.fault.kind !== 'swallow-answer') {
          this.#cut += 1;
        }
        this.#options.injected?.(injected);
      },
      lost: (apiKey) => {
        this.#lostAnswers.set(apiKey, (this.#lostAnswers.get(apiKey) ?? 0) + 1);
      },
      expired: () => {
        this.#expired += 1;
      },
      ended: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
    connection.setLife(this.#lifeMs?.() ?? null);
  }
}

interface ConnectionOptions {
  readonly target: number;
  readonly node: number;
  readonly number: number;
  readonly judge: ProxyPlan;
  readonly struck: (injected: Injected) => void;
  readonly lost: (apiKey: number) => void;
  readonly expired: () => void;
  readonly ended: () => void;
}

interface Pending {
  readonly apiKey: number;
  readonly fault: ProxyFault | null;
}

class ProxiedConnection {
  readonly #client: Socket;
  readonly #broker: Socket;
  readonly #options: ConnectionOptions;
  readonly #ordinals = new Map<number, number>();
  /** Requests whose answers have not come, by their correlation ids. */
  readonly #pending = new Map<number, Pending>();
  /** Answers behind one that is held; null while none is. */
  #held: Buffer[] | null = null;
  readonly #timers = new Set<NodeJS.Timeout>();
  #life: NodeJS.Timeout | null = null;
  #isOpen = true;

  constructor(client: Socket, options: ConnectionOptions) {
    this.#client = client;
    this.#options = options;
    this.#broker = connect({ port: options.target, host: '127.0.0.1', noDelay: true });
    const requests = new FrameReader();
    const answers = new FrameReader();
    client.on('data', (piece) => {
      for (const frame of requests.push(piece)) if (this.#isOpen) this.#request(frame);
    });
    this.#broker.on('data', (piece) => {
      for (const frame of answers.push(piece)) if (this.#isOpen) this.#answer(frame);
    });
    for (const socket of [client, this.#broker]) {
      socket.on('error', () => {});
      // A connection whose client is gone may still bring the broker what was forwarded.
      socket.on('close', () => {
        if (this.#isOpen) this.close();
      });
    }
  }

  setLife(lifeMs: number | null): void {
    if (this.#life !== null) clearTimeout(this.#life);
    this.#life = null;
    if (lifeMs === null) return;
    this.#life = setTimeout(() => {
      if (!this.#isOpen) return;
      this.#options.expired();
      this.close();
    }, lifeMs);
  }

  /** Both sides; what the client still waits for is lost. */
  close(): void {
    this.#closeClient();
    this.#broker.destroy();
  }

  /** `last`: what the client still gets. */
  #closeClient(last?: Buffer): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (this.#life !== null) clearTimeout(this.#life);
    for (const timer of this.#timers) clearTimeout(timer);
    for (const { apiKey, fault } of this.#pending.values()) {
      if (fault?.kind !== 'lose-request' && fault?.kind !== 'cut-request') {
        this.#options.lost(apiKey);
      }
    }
    this.#pending.clear();
    if (last === undefined) this.#client.destroy();
    else {
      this.#client.end(last);
      setTimeout(() => this.#client.destroy(), LINGER_MS).unref();
    }
    this.#options.ended();
  }

  #request(frame: Buffer): void {
    const { apiKey, apiVersion, correlationId, clientId } = requestHead(frame);
    const ordinal = (this.#ordinals.get(apiKey) ?? 0) + 1;
    this.#ordinals.set(apiKey, ordinal);
    const { node, number: connection } = this.#options;
    const request = { node, connection, apiKey, apiVersion, clientId, ordinal };
    const fault = this.#options.judge(request);
    this.#pending.set(correlationId, { apiKey, fault });
    if (fault !== null) this.#options.struck({ request, fault });
    switch (fault?.kind) {
      case 'lose-request':
        this.close();
        return;
      case 'cut-request':
        this.#broker.write(frame.subarray(0, frame.length >> 1));
        this.#leaveBroker();
        return;
      case 'close-after-forward':
        this.#broker.write(frame);
        this.#leaveBroker();
        return;
      case 'late-request': {
        const { delayMs } = fault;
        this.#closeClient();
        setTimeout(() => {
          this.#broker.write(frame);
          this.#leaveBroker();
        }, delayMs);
        return;
      }
      default:
        send(frame, this.#client, this.#broker);
    }
  }

  /** Closes the client's side now, and the broker's when it has got what was written. */
  #leaveBroker(): void {
    this.#closeClient();
    this.#broker.end();
    setTimeout(() => this.#broker.destroy(), LINGER_MS).unref();
  }

  #answer(frame: Buffer): void {
    const correlation = correlationOf(frame);
    const pending = this.#pending.get(correlation);
    const fault = pending?.fault ?? null;
    switch (fault?.kind) {
      case 'lose-answer':
        this.close();
        return;
      case 'cut-answer':
        this.#closeClient(frame.subarray(0, frame.length >> 1));
        this.#broker.destroy();
        return;
      case 'swallow-answer':
        this.#pending.delete(correlation);
        this.#options.lost(pending!.apiKey);
        return;
      case 'hold-answer':
        this.#pending.delete(correlation);
        this.#hold(frame, fault.delayMs);
        return;
      default:
        this.#pending.delete(correlation);
        if (this.#held === null) send(frame, this.#broker, this.#client);
        else this.#held.push(frame);
    }
  }

  #hold(frame: Buffer, delayMs: number): void {
    if (this.#held !== null) {
      this.#held.push(frame);
      return;
    }
    this.#held = [frame];
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      for (const each of this.#held ?? []) this.#client.write(each);
      this.#held = null;
    }, delayMs);
    this.#timers.add(timer);
  }
}

/** Writes to one side; the other one waits while too much is under way. */
function send(frame: Buffer, from: Socket, to: Socket): void {
  if (to.write(frame)) return;
  from.pause();
  to.once('drain', () => from.resume());
}
