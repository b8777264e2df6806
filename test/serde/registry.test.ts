import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { confluentRegistry } from '../../src/serde/confluent-registry.ts';
import { memoryRegistry } from '../../src/serde/memory-registry.ts';
import { serveRegistry } from '../../src/serde/serve-registry.ts';
import { registryConformance } from './registry-conformance.ts';

/** Longer than a busy machine takes: a deadline that is to pass is short. */
const deadlineMs = 60_000;

registryConformance('in memory', async () => ({
  registry: memoryRegistry(),
  close: async () => {},
}));

registryConformance('behind the Confluent API', async () => {
  const served = await serveRegistry(memoryRegistry(), { port: 0 });
  return { registry: confluentRegistry({ host: served.url, deadlineMs }), close: served.close };
});

describe('confluentRegistry', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });
  /** Requests to the server made last. */
  let seen: string[] = [];

  async function answering(
    answer: (path: string, attempt: number) => { status: number; body: string } | null,
  ): Promise<string> {
    const asked: string[] = [];
    seen = asked;
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      const made = answer(request.url ?? '', asked.length);
      if (made === null) return;
      response.writeHead(made.status, { 'content-type': 'application/json' });
      response.end(made.body);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  const schema = '{"type":"record","name":"A","fields":[{"name":"a","type":"int"}]}';

  it('names the URL and the mend when nothing listens', async () => {
    // Nothing listens there, and the system gives the port to nobody who asks for any.
    const host = 'http://127.0.0.1:2';
    const error = await confluentRegistry({ host })
      .schemaById(1)
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'REGISTRY_UNAVAILABLE', decision: 'retry' });
    expect(String(error)).toContain(host);
    expect(String(error)).toContain('Check the URL');
  });

  it('gives up on a registry that never answers at the deadline', async () => {
    const host = await answering(() => null);
    const registry = confluentRegistry({ host, deadlineMs: 150 });
    await expect(registry.schemaById(1)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    await expect(registry.idOf('s', schema)).rejects.toMatchObject({
      code: 'REGISTRY_UNAVAILABLE',
    });
  });

  it('tells a web server that is no registry from an unknown id', async () => {
    for (const body of ['<html>not here</html>', '{"message":"Not Found"}', '']) {
      const host = await answering(() => ({ status: 404, body }));
      const error = await confluentRegistry({ host, deadlineMs })
        .schemaById(1)
        .catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    }
    const host = await answering(() => ({ status: 200, body: '{"hello":"world"}' }));
    await expect(confluentRegistry({ host, deadlineMs }).schemaById(1)).rejects.toMatchObject({
      code: 'REGISTRY_UNAVAILABLE',
    });
  });

  it('stops on a wrong password', async () => {
    const host = await answering(() => ({ status: 401, body: '{"message":"who are you"}' }));
    await expect(confluentRegistry({ host, deadlineMs }).idOf('s', schema)).rejects.toMatchObject({
      code: 'REGISTRY_UNAVAILABLE',
      decision: 'stop',
    });
    expect(seen).toHaveLength(1);
  });

  it('asks again after a server error, also when it writes', async () => {
    const host = await answering((_, attempt) =>
      attempt < 3
        ? { status: 503, body: '{"error_code":50301,"message":"starting"}' }
        : { status: 200, body: '{"id":5}' },
    );
    expect(await confluentRegistry({ host, deadlineMs }).register('s', schema)).toBe(5);
    expect(seen).toEqual(Array(3).fill('POST /subjects/s/versions'));
  });

  it('never reads nor writes the compatibility level of a subject', async () => {
    const host = await answering((path) =>
      path.startsWith('/config')
        ? { status: 404, body: '{"error_code":40408,"message":"none"}' }
        : { status: 200, body: '{"id":5}' },
    );
    await confluentRegistry({ host, deadlineMs }).register('s', schema);
    expect(seen).toEqual(['POST /subjects/s/versions']);
  });

  it('reports an incompatible schema as such', async () => {
    const host = await answering(() => ({
      status: 409,
      body: '{"error_code":409,"message":"incompatible"}',
    }));
    await expect(
      confluentRegistry({ host, deadlineMs }).register('s', schema),
    ).rejects.toMatchObject({
      code: 'SCHEMA_INCOMPATIBLE',
    });
  });

  it('hands out a schema that avsc cannot parse', async () => {
    const text = '{"type":"record","name":"A","namespace":"a-b","fields":[]}';
    const host = await answering(() => ({ status: 200, body: JSON.stringify({ schema: text }) }));
    expect(await confluentRegistry({ host, deadlineMs }).schemaById(3)).toBe(text);
  });

  /** Answers each path with its body, everything else as unknown. */
  const serving = (bodies: Readonly<Record<string, unknown>>): Promise<string> =>
    answering((path) => {
      const body = bodies[path.split('?')[0]!];
      return body === undefined
        ? { status: 404, body: '{"error_code":40402,"message":"Version not found here"}' }
        : { status: 200, body: JSON.stringify(body) };
    });
  const version = (subject: string, schema: unknown, references: unknown[] = []) => ({
    subject,
    version: 1,
    id: 9,
    schema: JSON.stringify(schema),
    references,
  });
  const refersTo = (name: string, subject: string) => ({ name, subject, version: 1 });

  it('puts a schema together from the subjects that it refers to', async () => {
    const color = { type: 'enum', name: 'Color', namespace: 'b', symbols: ['RED'] };
    const paint = {
      type: 'record',
      name: 'Paint',
      namespace: 'b',
      fields: [{ name: 'color', type: 'Color' }],
    };
    const house = {
      type: 'record',
      name: 'House',
      namespace: 'a',
      fields: [
        { name: 'door', type: 'b.Color' },
        { name: 'walls', type: { type: 'array', items: ['null', 'b.Paint'] } },
        { name: 'rooms', type: { type: 'map', values: 'House' } },
      ],
    };
    const host = await serving({
      '/schemas/ids/3': {
        schema: JSON.stringify(house),
        references: [refersTo('b.Paint', 'paint/value'), refersTo('b.Color', 'color')],
      },
      '/subjects/paint%2Fvalue/versions/1': version('paint/value', paint, [
        refersTo('b.Color', 'color'),
      ]),
      '/subjects/color/versions/1': version('color', color),
    });
    const registry = confluentRegistry({ host, deadlineMs });
    const whole = JSON.parse(await registry.schemaById(3));
    expect(whole).toEqual({
      type: 'record',
      name: 'a.House',
      fields: [
        { name: 'door', type: { type: 'enum', name: 'b.Color', symbols: ['RED'] } },
        {
          name: 'walls',
          type: {
            type: 'array',
            items: [
              'null',
              { type: 'record', name: 'b.Paint', fields: [{ name: 'color', type: 'b.Color' }] },
            ],
          },
        },
        { name: 'rooms', type: { type: 'map', values: 'a.House' } },
      ],
    });
    const asked = seen.length;
    await registry.schemaById(3);
    expect(seen).toHaveLength(asked);
  });

  it('says that a schema is unknown while what it refers to is', async () => {
    const host = await serving({
      '/schemas/ids/3': { schema, references: [refersTo('b.Color', 'gone')] },
    });
    const registry = confluentRegistry({ host, deadlineMs });
    for (let i = 0; i < 2; i += 1) {
      await expect(registry.schemaById(3)).rejects.toMatchObject({
        code: 'SCHEMA_UNKNOWN',
        decision: 'record',
      });
    }
  });

  it('holds a schema that cannot be used against the records that name it', async () => {
    const host = await answering((path) => {
      if (path === '/schemas/ids/5') return { status: 422, body: '{"message":"bad id"}' };
      const body = path.startsWith('/schemas/ids/6')
        ? { schema: '{"type":"string"}', schemaType: 'JSON' }
        : { subject: 'x', version: 1, schema: '{', references: [refersTo('X', 'x')] };
      return { status: 200, body: JSON.stringify(body) };
    });
    const registry = confluentRegistry({ host, deadlineMs });
    for (const id of [5, 6, 7]) {
      await expect(registry.schemaById(id)).rejects.toMatchObject({
        code: 'SCHEMA_INCOMPATIBLE',
        decision: 'record',
        message: expect.stringContaining(`schema id ${id}`),
      });
    }
  });

  it('asks for a schema once', async () => {
    const host = await answering(() => ({ status: 200, body: JSON.stringify({ schema }) }));
    const registry = confluentRegistry({ host, deadlineMs });
    await Promise.all([registry.schemaById(3), registry.schemaById(3)]);
    await registry.schemaById(3);
    expect(seen).toEqual(['GET /schemas/ids/3']);
  });

  it('refuses a URL without a scheme', () => {
    expect(() => confluentRegistry({ host: 'localhost:8081' })).toThrow(/http:/);
  });
});

describe('serveRegistry', () => {
  it('answers an unknown call, a broken body and a missing schema with an error', async () => {
    const served = await serveRegistry(memoryRegistry(), { port: 0 });
    const status = async (path: string, body?: string): Promise<number> => {
      const init = body === undefined ? {} : { method: 'POST', body };
      return (await fetch(served.url + path, init)).status;
    };
    expect(await status('/nothing')).toBe(404);
    expect(await status('/schemas/ids/x')).toBe(404);
    expect(await status('/subjects/s/versions', '{')).toBe(422);
    expect(await status('/subjects/s/versions', 'null')).toBe(422);
    expect(await status('/subjects/s/versions', '{}')).toBe(422);
    expect(await status('/subjects/%E0/versions', '{"schema":"\\"string\\""}')).toBe(200);
    await served.close();
  });

  it('rejects when its port is taken', async () => {
    const served = await serveRegistry(memoryRegistry(), { port: 0 });
    const port = Number(new URL(served.url).port);
    await expect(serveRegistry(memoryRegistry(), { port })).rejects.toThrow(/EADDRINUSE/);
    await served.close();
  });
});
