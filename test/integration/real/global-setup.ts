/**
 * Lends real parts to the integration tests: one Kafka per version and one Apicurio for the whole
 * run, each started when a test first asks (over a loopback address handed to the workers) and
 * stopped at the end.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestProject } from 'vitest/node';
import { startApicurio } from './apicurio.ts';
import { type KafkaVersion, startKafka } from './kafka.ts';
import { MISSING_REAL, REQUIRES_REAL } from './parts.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Address of the lender, asked by `shared.ts`. */
    lender: string;
  }
}

interface Lent {
  readonly address: string;
  stop(): Promise<void>;
}

const say = (text: string): boolean => process.stderr.write(`real parts: ${text}\n`);

async function start(name: string): Promise<Lent> {
  if (MISSING_REAL !== null) throw new Error(`${name} cannot start: ${MISSING_REAL}`);
  const begun = performance.now();
  let lent: Lent;
  if (name === 'apicurio') {
    const registry = await startApicurio();
    lent = { address: registry.url, stop: () => registry.stop() };
  } else {
    const kafka = await startKafka({ version: name.replace('kafka-', '') as KafkaVersion });
    lent = { address: kafka.bootstrap, stop: () => kafka.stop() };
  }
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  say(`${name} is up at ${lent.address} after ${seconds} s`);
  return lent;
}

const NAMES = ['kafka-3.3.2', 'kafka-3.9.1', 'kafka-4.3.1', 'apicurio'];

export default async function lend(project: TestProject): Promise<() => Promise<void>> {
  if (MISSING_REAL !== null) {
    say('*'.repeat(72));
    say(`MISSING: ${MISSING_REAL}`);
    say(
      REQUIRES_REAL
        ? 'and ESCAPEMENT_REQUIRE_REAL=1: tests with real Kafka and Apicurio will FAIL'
        : 'tests with real Kafka and Apicurio are SKIPPED; install Java 17 and Maven to run them',
    );
    say('*'.repeat(72));
  }
  const started = new Map<string, Promise<Lent>>();
  const server = createServer(async (request, response) => {
    const name = (request.url ?? '').slice(1);
    // Else a later question may go out on a connection that this side is about to close.
    response.setHeader('connection', 'close');
    try {
      if (!NAMES.includes(name)) throw new Error(`no real part is called ${name}`);
      const known = started.get(name) ?? start(name);
      started.set(name, known);
      response.end((await known).address);
    } catch (error) {
      response.statusCode = 500;
      response.end(error instanceof Error ? error.message : String(error));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  project.provide('lender', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return async () => {
    server.close();
    server.closeAllConnections();
    const lent = await Promise.allSettled(started.values());
    await Promise.all(lent.map((each) => (each.status === 'fulfilled' ? each.value.stop() : null)));
  };
}
