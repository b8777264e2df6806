import { describe, expect, it } from 'vitest';
import {
  type Fault,
  FaultyTransport,
  type PlannedFault,
  planOf,
} from '../../../src/kafka/transport/faulty.ts';
import {
  type Transport,
  TransportError,
  type TransportRequest,
} from '../../../src/kafka/transport/transport.ts';
import { VirtualPorts } from '../../broker/ports.ts';

/** Delivers in order and answers when told to. */
class Delivered implements Transport {
  readonly bodies: string[] = [];
  readonly #answers: (() => void)[] = [];
  closed = 0;

  request(_node: number | 'any', { body }: TransportRequest): Promise<Buffer> {
    this.bodies.push(body.toString());
    return new Promise((resolve) => {
      this.#answers.push(() => resolve(Buffer.from(`${body}!`)));
    });
  }

  async answer(): Promise<void> {
    this.#answers.shift()?.();
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  }

  learn(): void {}
  async close(): Promise<void> {
    this.closed++;
  }
}

const setup = (...faults: readonly PlannedFault[]) => {
  const inner = new Delivered();
  const ports = new VirtualPorts();
  const faulty = new FaultyTransport({ inner, timers: ports.timers, plan: planOf(faults) });
  const send = (body: string, apiKey = 1, lane: TransportRequest['lane'] = 'transaction') => {
    const request = { apiKey, apiVersion: 0, body: Buffer.from(body), timeoutMs: 1_000, lane };
    const seen: { state: string } = { state: 'pending' };
    faulty.request(7, request).then(
      (answer) => {
        seen.state = answer.toString();
      },
      (error: unknown) => {
        seen.state = error instanceof TransportError ? error.fate : String(error);
      },
    );
    return seen;
  };
  return { inner, ports, faulty, send };
};

const settle = async () => {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
};

const first = (fault: Fault): PlannedFault => ({ ...fault, apiKey: 1, ordinal: 1 });

describe('a faulty transport', () => {
  it('passes everything through without a plan that strikes', async () => {
    const { inner, send, faulty } = setup();
    const a = send('a');
    await inner.answer();
    expect(a.state).toBe('a!');
    expect(faulty.struck).toEqual([]);
    await faulty.close();
    expect(inner.closed).toBe(1);
  });

  it('counts the requests of each API on its own', async () => {
    const lose = { outcome: 'lose-request', at: 'before-send', apiKey: 2, ordinal: 2 } as const;
    const { inner, send, faulty } = setup(lose);
    send('a', 1);
    send('b', 2);
    send('c', 1);
    const lost = send('d', 2);
    await settle();
    expect(inner.bodies).toEqual(['a', 'b', 'c']);
    expect(lost.state).toBe('unknown');
    expect(faulty.struck.map(({ apiKey, ordinal }) => [apiKey, ordinal])).toEqual([[2, 2]]);
    expect(faulty.count(2)).toBe(2);
  });

  it('counts only the requests that the predicate accepts', async () => {
    const where = ({ body }: TransportRequest) => body.includes('changelog');
    const fault = { outcome: 'lose-request', at: 'before-send', apiKey: 1, ordinal: 2 } as const;
    const { inner, send } = setup({ ...fault, where });
    for (const body of ['output', 'changelog 1', 'output', 'changelog 2', 'changelog 3'])
      send(body);
    await settle();
    expect(inner.bodies).toEqual(['output', 'changelog 1', 'output', 'changelog 3']);
  });

  it('loses a reply after delivery, at once or when it comes', async () => {
    const early = setup(first({ outcome: 'lose-reply', at: 'before-send' }));
    const a = early.send('a');
    await settle();
    expect([early.inner.bodies, a.state]).toEqual([['a'], 'unknown']);

    const late = setup(first({ outcome: 'lose-reply', at: 'after-reply' }));
    const b = late.send('b');
    await settle();
    expect([late.inner.bodies, b.state]).toEqual([['b'], 'pending']);
    await late.inner.answer();
    expect(b.state).toBe('unknown');
  });

  it('refuses to lose a request whose reply is there', async () => {
    const { inner, send } = setup(first({ outcome: 'lose-request', at: 'after-reply' }));
    const a = send('a');
    await inner.answer();
    expect(a.state).toContain('lose-reply');
  });

  it('delays the request, or its reply', async () => {
    const before = setup(first({ outcome: 'delay', at: 'before-send', delayMs: 30 }));
    before.send('a');
    before.send('b');
    before.ports.advance(29);
    expect(before.inner.bodies).toEqual(['b']);
    before.ports.advance(1);
    expect(before.inner.bodies).toEqual(['b', 'a']);

    const after = setup(first({ outcome: 'delay', at: 'after-reply', delayMs: 30 }));
    const a = after.send('a');
    await after.inner.answer();
    after.ports.advance(29);
    await settle();
    expect(a.state).toBe('pending');
    after.ports.advance(1);
    await settle();
    expect(a.state).toBe('a!');
  });

  it('delivers a duplicate at once, or after the answer', async () => {
    const before = setup(first({ outcome: 'duplicate', at: 'before-send' }));
    before.send('a');
    expect(before.inner.bodies).toEqual(['a', 'a']);

    const after = setup(first({ outcome: 'duplicate', at: 'after-reply' }));
    const a = after.send('a');
    expect(after.inner.bodies).toEqual(['a']);
    await after.inner.answer();
    expect([after.inner.bodies, a.state]).toEqual([['a', 'a'], 'a!']);
  });

  it('closes one lane of one node, before sending or after the answer', async () => {
    const second = { outcome: 'close', apiKey: 1, ordinal: 2 } as const;
    const before = setup({ ...second, at: 'before-send' });
    const pending = before.send('a');
    const other = before.send('beside', 2, 'fetch');
    const closing = before.send('b');
    await settle();
    const states = [pending.state, other.state, closing.state];
    expect(states).toEqual(['unknown', 'pending', 'never-sent']);
    expect(before.inner.bodies).toEqual(['a', 'beside']);

    const after = setup({ ...second, at: 'after-reply' });
    const a = after.send('a');
    const elsewhere = after.send('b', 2, 'group');
    const b = after.send('b');
    await after.inner.answer();
    await after.inner.answer();
    await after.inner.answer();
    expect([a.state, elsewhere.state, b.state]).toEqual(['a!', 'b!', 'unknown']);
  });

  it('freezes the process before a request leaves: nothing is delivered and nothing settles', async () => {
    const stop = { outcome: 'stop', at: 'before-send', apiKey: 1, ordinal: 2 } as const;
    const { inner, send, faulty } = setup(stop);
    const states = [send('a'), send('b'), send('c')];
    await faulty.stopped;
    await inner.answer();
    expect(inner.bodies).toEqual(['a']);
    expect(states.map(({ state }) => state)).toEqual(['pending', 'pending', 'pending']);
  });

  it('freezes the process when the answer is there, also for requests pending elsewhere', async () => {
    const stop = { outcome: 'stop', at: 'after-reply', apiKey: 1, ordinal: 1 } as const;
    const { inner, send, faulty } = setup(stop);
    const states = [send('a'), send('b', 2, 'group')];
    await inner.answer();
    await faulty.stopped;
    await inner.answer();
    states.push(send('c'));
    await settle();
    expect(inner.bodies).toEqual(['a', 'b']);
    expect(states.map(({ state }) => state)).toEqual(['pending', 'pending', 'pending']);
  });
});
