/**
 * A registry offered to other processes: the part of the Confluent API (v7) that a serde asks.
 *
 * `POST /subjects/{subject}/versions` registers, `POST /subjects/{subject}` looks up,
 * `GET /schemas/ids/{id}` reads, `GET /config/{subject}` says that a subject has no level of its own.
 * Only 127.0.0.1 is listened on: there is no authentication.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { refuseMissing, refuseUnknown } from '../config/known-options.ts';
import { EscapementError, messageOf } from '../errors.ts';
import type { Registry } from './registry.ts';

export interface ServedRegistry {
  /** Base URL for `confluentRegistry`. */
  readonly url: string;
  /** Stops listening and closes what is open. */
  close(): Promise<void>;
}

const BODY_BYTES_MAX = 4 * 1024 * 1024;
const CONTENT_TYPE = 'application/vnd.schemaregistry.v1+json';

interface Reply {
  readonly status: number;
  readonly body: unknown;
}

/** Serves `registry` on 127.0.0.1; port 0 takes a free one. */
export function serveRegistry(
  registry: Registry,
  options: { readonly port: number },
): Promise<ServedRegistry> {
  refuseUnknown('serveRegistry', options, { port: true });
  refuseMissing('serveRegistry', options, ['port']);
  const server = createServer((request, response) => {
    reply(registry, request)
      .catch(failure)
      .then(({ status, body }) => send(response, status, body));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      resolve({ url: `http://127.0.0.1:${port}`, close: () => close(server) });
    });
  });
}

async function reply(registry: Registry, request: IncomingMessage): Promise<Reply> {
  const path = (request.url ?? '/').split('?')[0]!.split('/').slice(1).map(decodePart);
  const [first, second, third] = path;
  if (request.method === 'GET' && first === 'schemas' && second === 'ids' && path.length === 3) {
    return { status: 200, body: { schema: await registry.schemaById(numberOf(third!)) } };
  }
  if (request.method === 'GET' && first === 'config' && path.length === 2) {
    return refusal(404, 40408, `Subject '${second}' has no compatibility level of its own`);
  }
  if (request.method === 'POST' && first === 'subjects' && second !== undefined) {
    if (path.length === 3 && third === 'versions') {
      const schema = await readSchema(request);
      return { status: 200, body: { id: await registry.register(second, schema) } };
    }
    if (path.length === 2) {
      const schema = await readSchema(request);
      const id = await registry.idOf(second, schema);
      return { status: 200, body: { subject: second, id, schema } };
    }
  }
  return refusal(404, 404, `HTTP 404: no such call: ${request.method} ${request.url}`);
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function numberOf(part: string): number {
  const id = Number(part);
  if (/^\d{1,10}$/.test(part) && id <= 0x7fff_ffff) return id;
  throw new EscapementError('SCHEMA_UNKNOWN', `${part} is no schema id`);
}

async function readSchema(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) {
      throw new EscapementError('OPTION_INVALID', `a body above ${BODY_BYTES_MAX} bytes`);
    }
    chunks.push(chunk);
  }
  let schema: unknown;
  try {
    ({ schema } = JSON.parse(Buffer.concat(chunks).toString()) as { readonly schema?: unknown });
  } catch (cause) {
    throw new EscapementError('OPTION_INVALID', 'the body is not a JSON object', { cause });
  }
  if (typeof schema === 'string') return schema;
  throw new EscapementError('OPTION_INVALID', 'the body has no field schema');
}

function refusal(status: number, code: number, message: string): Reply {
  return { status, body: { error_code: code, message } };
}

function failure(error: unknown): Reply {
  const message = messageOf(error);
  const code = error instanceof EscapementError ? error.code : 'INVARIANT_VIOLATED';
  if (code === 'SCHEMA_UNKNOWN') return refusal(404, 40403, message);
  if (code === 'SCHEMA_INCOMPATIBLE') return refusal(409, 409, message);
  if (code === 'OPTION_INVALID') return refusal(422, 42201, message);
  if (code === 'REGISTRY_UNAVAILABLE') return refusal(503, 50003, message);
  return refusal(500, 50001, message);
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': CONTENT_TYPE });
  response.end(JSON.stringify(body));
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
