/**
 * Where groups and transactional ids are coordinated: found once, kept until a broker says otherwise.
 *
 * I1. Lookups of one key run once, however many callers wait for them.
 * I2. `forget` only drops what is known; a lookup on its way is newer than the answer that led to it.
 */
import { brokerError } from '../protocol/error-codes.ts';
import type { Node } from '../transport/transport.ts';

export type CoordinatorKind = 'group' | 'transaction';

const KEY_TYPES = { group: 0, transaction: 1 } as const;

export interface Found {
  readonly errorCode: number;
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

export interface CoordinatorsOptions {
  /** Sends FindCoordinator to any node. */
  readonly find: (body: { key: string; keyType: number }, timeoutMs: number) => Promise<Found>;
  readonly learn: (nodes: readonly Node[]) => void;
  /** Repeats while the error passes by itself. */
  readonly repeat: <T>(lookup: (timeoutMs: number) => Promise<T>) => Promise<T>;
}

export class Coordinators {
  readonly #options: CoordinatorsOptions;
  readonly #known = new Map<string, number>();
  readonly #finding = new Map<string, Promise<number>>();

  constructor(options: CoordinatorsOptions) {
    this.#options = options;
  }

  of(kind: CoordinatorKind, key: string): Promise<number> {
    const name = `${kind}/${key}`;
    const known = this.#known.get(name);
    if (known !== undefined) return Promise.resolve(known);
    const running = this.#finding.get(name);
    if (running !== undefined) return running;
    const finding = this.#options
      .repeat((timeoutMs) => this.#find(kind, key, timeoutMs))
      .then((node) => {
        this.#known.set(name, node);
        return node;
      });
    this.#finding.set(name, finding);
    const finished = () => this.#finding.delete(name);
    finding.then(finished, finished);
    return finding;
  }

  forget(kind: CoordinatorKind, key: string): void {
    this.#known.delete(`${kind}/${key}`);
  }

  /** A node that cannot be reached coordinates nothing any more. */
  forgetNode(node: number): void {
    for (const [name, known] of this.#known) if (known === node) this.#known.delete(name);
  }

  async #find(kind: CoordinatorKind, key: string, timeoutMs: number): Promise<number> {
    const { find, learn } = this.#options;
    const { errorCode, nodeId, host, port } = await find(
      { key, keyType: KEY_TYPES[kind] },
      timeoutMs,
    );
    if (errorCode !== 0) throw brokerError(errorCode, `FindCoordinator for ${kind} '${key}'`);
    learn([{ id: nodeId, host, port }]);
    return nodeId;
  }
}
