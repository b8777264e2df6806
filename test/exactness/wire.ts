/**
 * A transport that writes down what passes and lets a test stand between an instance and the broker:
 * hold a request or its answer, answer in the broker's place, lose either, or let the process die.
 */
import { decodeRequest, encodeResponse } from '../../src/kafka/protocol/codec.ts';
import type { Api, ServedApi } from '../../src/kafka/protocol/schema.ts';
import {
  type Node,
  type Transport,
  TransportError,
  type TransportRequest,
} from '../../src/kafka/transport/transport.ts';

/** One request and its answer, with places in the order of everything that passed in the test. */
export interface Passage {
  readonly request: TransportRequest;
  readonly sentAt: number;
  /** -1 while the broker has not answered. */
  answeredAt: number;
}

/** Stands between: `pass` delivers the request and gives the answer. */
export type Between = (passage: Passage, pass: () => Promise<Buffer>) => Promise<Buffer>;

export class Wire implements Transport {
  readonly journal: Passage[] = [];
  between: Between = (_, pass) => pass();
  readonly #inner: Transport;
  readonly #moment: () => number;
  #state: 'alive' | 'dead' = 'alive';

  constructor(inner: Transport, moment: () => number) {
    this.#inner = inner;
    this.#moment = moment;
  }

  get isDead(): boolean {
    return this.#state === 'dead';
  }

  /** The process dies: nothing is sent any more, and nothing that waits for an answer goes on. */
  die(): void {
    this.#state = 'dead';
    void this.#inner.close();
  }

  request(node: number | 'any', request: TransportRequest): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.isDead) return;
      const passage: Passage = { request, sentAt: this.#moment(), answeredAt: -1 };
      this.journal.push(passage);
      const pass = async (): Promise<Buffer> => {
        const answer = await this.#inner.request(node, request);
        passage.answeredAt = this.#moment();
        return answer;
      };
      this.between(passage, pass).then(
        (answer) => this.isDead || resolve(answer),
        (cause) => this.isDead || reject(cause),
      );
    });
  }

  learn(nodes: readonly Node[]): void {
    this.#inner.learn(nodes);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** What was sent of an API, in order. */
  sent(api: Api): Passage[] {
    return this.journal.filter(({ request }) => request.apiKey === api.key);
  }

  /** The bodies of what was sent of an API, in order. */
  bodies<Body>(api: Served<Body>): Body[] {
    return this.sent(api).map((passage) => bodyOf(api, passage));
  }

  /** Strikes the next request of an API that `where` accepts, once; resolves when it has struck. */
  next<Body>(
    api: Served<Body>,
    strike: Between,
    where: (body: Body) => boolean = () => true,
  ): Promise<Passage> {
    return new Promise((resolve) => {
      const before = this.between;
      let struck = false;
      this.between = (passage, pass) => {
        const strikes =
          !struck && passage.request.apiKey === api.key && where(bodyOf(api, passage));
        if (!strikes) return before(passage, pass);
        struck = true;
        resolve(passage);
        return strike(passage, pass);
      };
    });
  }

  /** The process dies at the next request of an API. */
  dieAt(api: Served<unknown>, when: 'sending' | 'answered'): Promise<Passage> {
    return this.next(api, async (_, pass) => {
      if (when === 'answered') await pass();
      this.die();
      return NEVER;
    });
  }
}

const NEVER: Promise<never> = new Promise(() => {});

/** The broker's side of an API: what it receives, and what it replies. */
type Served<Body, Reply = unknown> = ServedApi<unknown, unknown, Body, Reply>;

export function bodyOf<Body>(api: Served<Body>, { request }: Passage): Body {
  return decodeRequest(api, request.apiVersion, request.body);
}

/** An answer in the broker's place; the request is not delivered. */
export function answering<Body, Reply>(
  api: Served<Body, Reply>,
  make: (body: Body) => NoInfer<Reply>,
): Between {
  return async (passage) =>
    encodeResponse(api, passage.request.apiVersion, make(bodyOf(api, passage)));
}

/** Delivered or not, the caller does not learn what became of it. */
export function losing(what: 'request' | 'answer'): Between {
  return async (_, pass) => {
    if (what === 'answer') await pass();
    throw new TransportError('unknown', `the ${what} was lost by the test`);
  };
}

/** Holds whatever comes to it until it is opened. */
export class Hold {
  #open: () => void = () => {};
  readonly #opened: Promise<void>;
  waiting = 0;

  constructor() {
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  open(): void {
    this.#open();
  }

  async pass(): Promise<void> {
    this.waiting += 1;
    await this.#opened;
    this.waiting -= 1;
  }

  readonly requests: Between = async (_, pass) => {
    await this.pass();
    return pass();
  };

  readonly answers: Between = async (_, pass) => {
    const answer = await pass();
    await this.pass();
    return answer;
  };
}
