/**
 * A schema registry that speaks the Confluent API, reached through `@kafkajs/confluent-schema-registry`.
 *
 * Called by `avro` and by whoever registers schemas. The client carries authentication and requests;
 * what it does not do is done here, in one middleware of its own kind, which sees each request and
 * each answer: a deadline, the schema's text (the client hands out parsed types only, and parsing
 * loses what it does not know), and errors as decisions.
 *
 * I1. Every call ends within the deadline.
 * I2. Nothing is written besides the schema that `register` names. The client would look up the
 *     subject's compatibility, refuse another one than its own, and plant its default where there
 *     is none, weakening a stricter global level. It never gets to see it; the registry applies
 *     its own level in any case.
 * I3. Its `decode` is never called: it builds the resolver anew for each record.
 */

import type { SchemaRegistry } from '@kafkajs/confluent-schema-registry';
import { type Known, refuseMissing, refuseUnknown } from '../config/known-options.ts';
import { bareError, EscapementError } from '../errors.ts';
import { type Ports, systemPorts } from '../ports.ts';
import { compactSchema } from './avro-schema.ts';
import {
  type PassedSchema,
  PassedSchemas,
  type SchemaVersion,
  unusable,
} from './passed-schemas.ts';
import type { Registry } from './registry.ts';

export interface ConfluentRegistryOptions {
  /** Base URL of the API: `http://localhost:8081`, or Apicurio's `…:8080/apis/ccompat/v7`. */
  readonly host: string;
  /** HTTP basic authentication. */
  readonly auth?: { readonly username: string; readonly password: string };
  /** Time that one call may take, retries included, in milliseconds. Default 5,000. */
  readonly deadlineMs?: number;
  /** Default: the system's timers. */
  readonly ports?: Pick<Ports, 'timers' | 'random'>;
}

const KNOWN: Known<ConfluentRegistryOptions> = {
  host: true,
  auth: true,
  deadlineMs: true,
  ports: true,
};
const ELSEWHERE = {
  url: 'the URL is called host',
  baseUrl: 'the URL is called host',
  username: 'it belongs into auth: { username, password }',
  password: 'it belongs into auth: { username, password }',
};

const DEADLINE_MS = 5_000;
/** Waits before a call is repeated; the client itself repeats only reads. Jittered by half. */
const RETRY_WAITS_MS = [100, 300] as const;

/** What the middleware sees of an answer; the client's types of it are not exported. */
interface Answer {
  data(): unknown;
}
interface Request {
  path(): string;
  method(): string;
  enhance(extras: { timeout: number }): Request;
}
type Call = 'read' | 'look up' | 'register';
type Client = Pick<SchemaRegistry, 'getSchema' | 'getRegistryIdBySchema' | 'register'>;

/**
 * The registry at `host`. Connects at the first call; each call rejects within the deadline.
 * Rejections: see `Registry`; a wrong URL or password is `REGISTRY_UNAVAILABLE`, which names the URL.
 */
export function confluentRegistry(options: ConfluentRegistryOptions): Registry {
  refuseUnknown('confluentRegistry', options, KNOWN, ELSEWHERE);
  refuseMissing('confluentRegistry', options, ['host']);
  refuseUnknown('confluentRegistry: auth', options.auth, { username: true, password: true });
  return new ConfluentRegistry(options);
}

class ConfluentRegistry implements Registry {
  readonly #host: string;
  readonly #auth: ConfluentRegistryOptions['auth'];
  readonly #deadlineMs: number;
  readonly #ports: Pick<Ports, 'timers' | 'random'>;
  readonly #passed = new PassedSchemas();
  /** A client does not ask for what it registered itself; what it reads must come from outside. */
  readonly #clients = new Map<'read' | 'register', Promise<Client>>();

  constructor(options: ConfluentRegistryOptions) {
    if (typeof options.host !== 'string' || !/^https?:\/\/[^/]/.test(options.host)) {
      // Without a scheme nobody else recognises a user and password in it.
      const shown = String(options.host).replace(/^[^@/]*@/, '[redacted]@');
      throw new EscapementError(
        'OPTION_INVALID',
        `the registry URL is ${JSON.stringify(shown)}: it starts with http:// or https://`,
      );
    }
    this.#host = options.host.replace(/\/+$/, '');
    this.#auth = options.auth;
    this.#deadlineMs = options.deadlineMs ?? DEADLINE_MS;
    this.#ports = options.ports ?? systemPorts;
  }

  async schemaById(id: number): Promise<string> {
    if (!this.#passed.has(id)) {
      await this.#call('read', `schema id ${id}`, async (client) => {
        try {
          await client.getSchema(id);
        } catch (error) {
          // The client parses what it gets and may refuse it; the text has come all the same.
          if (!this.#passed.has(id)) throw refusedSchema(id, error);
        }
      });
    }
    if (!this.#passed.has(id)) throw this.#notARegistry(`schema id ${id}`);
    return this.#passed.textOf(id);
  }

  idOf(subject: string, schema: string): Promise<number> {
    return this.#call('look up', `the schema of subject ${subject}`, (client) =>
      client.getRegistryIdBySchema(subject, avroSchema(schema)),
    );
  }

  async register(subject: string, schema: string): Promise<number> {
    const text = compactSchema(schema);
    return this.#call('register', `subject ${subject}`, async (client) => {
      const { id } = await client.register(avroSchema(text) as never, { subject });
      return id;
    });
  }

  #client(use: 'read' | 'register'): Promise<Client> {
    let client = this.#clients.get(use);
    if (client === undefined) {
      client = this.#connect();
      this.#clients.set(use, client);
    }
    return client;
  }

  async #connect(): Promise<Client> {
    // Loaded at the first call: it takes 0.4 s and many topologies need no registry.
    const { SchemaRegistry } = await import('@kafkajs/confluent-schema-registry');
    return new SchemaRegistry({
      host: this.#host,
      ...(this.#auth === undefined ? {} : { auth: { ...this.#auth } }),
      middlewares: [this.#middleware as never],
    });
  }

  /** I1. One call with its repetitions under the deadline. */
  async #call<T>(call: Call, what: string, ask: (client: Client) => Promise<T>): Promise<T> {
    const { timers } = this.#ports;
    let expire = (): void => {};
    const deadline = new Promise<never>((_, reject) => {
      expire = () =>
        reject(this.#unavailable(what, `it did not answer within ${this.#deadlineMs} ms`));
    });
    const timer = timers.after(this.#deadlineMs, () => expire());
    const state = { over: false };
    try {
      return await Promise.race([this.#repeat(call, what, ask, state), deadline]);
    } finally {
      state.over = true;
      timer.cancel();
    }
  }

  async #repeat<T>(
    call: Call,
    what: string,
    ask: (client: Client) => Promise<T>,
    state: { readonly over: boolean },
  ): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await ask(await this.#client(call === 'register' ? 'register' : 'read'));
      } catch (cause) {
        const error = this.#asError(what, cause);
        const waitMs = call === 'read' ? undefined : RETRY_WAITS_MS[attempt];
        if (error.decision !== 'retry' || waitMs === undefined || state.over) throw error;
        await this.#ports.timers.sleep(waitMs * (0.5 + this.#ports.random.fraction() / 2));
      }
    }
  }

  /** Runs outside of the client's own middleware: answers come parsed, failures as its errors. */
  readonly #middleware = () => ({
    prepareRequest: async (next: () => Promise<Request>): Promise<Request> =>
      (await next()).enhance({ timeout: this.#deadlineMs }),
    response: async (
      next: () => Promise<Answer>,
      _renew: unknown,
      request: Request,
    ): Promise<Answer> => {
      const path = request.path();
      // I2. `register` asks before it writes, and writes the level where there is none.
      if (path.startsWith('/config/')) return { data: () => ({ compatibilityLevel: 'BACKWARD' }) };
      const answer = await next().catch((cause: unknown) => {
        throw this.#asError(`${request.method().toUpperCase()} ${path}`, cause);
      });
      this.#keep(path, answer);
      return answer;
    },
  });

  /** Keeps the schemas that pass by; refuses answers that are no registry's. */
  #keep(path: string, answer: Answer): void {
    const body = answer.data() as Partial<
      PassedSchema & SchemaVersion & { readonly id: unknown }
    > | null;
    const id = /^\/schemas\/ids\/(\d+)$/.exec(path)?.[1];
    if (typeof body?.schema !== 'string') {
      if (id !== undefined || typeof body?.id !== 'number') throw this.#notARegistry(path);
      return;
    }
    if (id !== undefined) this.#passed.keepId(Number(id), body as PassedSchema);
    else this.#passed.keepVersion(body as SchemaVersion, body as PassedSchema);
  }

  #asError(what: string, thrown: unknown): EscapementError {
    if (thrown instanceof EscapementError) return thrown;
    // The client's errors hold the address with its user, and the request with its password.
    const cause = bareError(thrown);
    const reason = cause.message;
    const status = (thrown as { readonly status?: unknown }).status;
    // The client's own checks: a schema that avsc refuses, a schema without a name.
    if (typeof status !== 'number') {
      return new EscapementError('OPTION_INVALID', `${what}: ${reason}`, { cause });
    }
    // The client says "Error, status" when the body has no message of a registry.
    const hasMessage = !reason.includes(`Error, status ${status}`);
    if (status === 401 || status === 403) {
      const mend = 'check user name and password of the registry';
      return this.#unavailable(what, `it refused access (HTTP ${status}): ${mend}`, cause, 'stop');
    }
    if (status === 404) {
      if (!hasMessage || /- not found$/i.test(reason)) return this.#notARegistry(what, cause);
      return new EscapementError(
        'SCHEMA_UNKNOWN',
        `the registry at ${this.#host} does not know ${what}: ${reason}`,
        { cause },
      );
    }
    if (status === 409) {
      return new EscapementError(
        'SCHEMA_INCOMPATIBLE',
        `the registry at ${this.#host} refuses ${what} as incompatible with earlier versions: ${reason}`,
        { cause },
      );
    }
    if (hasMessage && (status === 400 || status === 422)) {
      return new EscapementError('OPTION_INVALID', `${what}: ${reason}`, { cause });
    }
    // 400 without a body is how the client reports a connection that failed.
    return this.#unavailable(what, reason, cause);
  }

  #notARegistry(what: string, cause?: unknown): EscapementError {
    return this.#unavailable(
      what,
      'the answer is not that of a schema registry: check the path of the URL (Apicurio: …/apis/ccompat/v7)',
      cause,
    );
  }

  #unavailable(
    what: string,
    reason: string,
    cause?: unknown,
    decision: 'retry' | 'stop' = 'retry',
  ): EscapementError {
    return new EscapementError(
      'REGISTRY_UNAVAILABLE',
      `the schema registry at ${this.#host} cannot be asked for ${what}: ${reason}. Check the URL and that the registry runs`,
      { decision, ...(cause === undefined ? {} : { cause }) },
    );
  }
}

function avroSchema(text: string): { readonly type: never; readonly schema: string } {
  return { type: 'AVRO' as never, schema: text };
}

/** A request that the registry calls wrong asked for an id, and a record brought the id. */
function refusedSchema(id: number, error: unknown): unknown {
  if (!(error instanceof EscapementError) || error.code !== 'OPTION_INVALID') return error;
  return unusable(id, `the registry refuses it: ${error.message}`, error);
}
