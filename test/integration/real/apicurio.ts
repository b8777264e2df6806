/** Apicurio Registry for tests: a schema registry that speaks Confluent's interface, in memory. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../../free-ports.ts';
import { cached, runCommand } from './cache.ts';
import { startJava, untilReady } from './java-process.ts';

/** The newest on Maven Central that runs on Java 17. */
const VERSION = '3.0.9';
const ARTIFACT = `io.apicurio:apicurio-registry-app:${VERSION}:tar.gz:all`;
const READY_MS_MAX = 60_000;

export interface RealApicurio {
  /** Base address for clients, `http://127.0.0.1:port/apis/ccompat/v7`. */
  readonly url: string;
  stop(): Promise<void>;
}

function apicurioApp(): Promise<string> {
  return cached(`apicurio-${VERSION}`, async (folder) => {
    const copy = ['dependency:copy', `-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${folder}`];
    await runCommand('mvn', ['-q', '-B', ...copy], folder);
    const archive = join(folder, `apicurio-registry-app-${VERSION}-all.tar.gz`);
    await runCommand('tar', ['xzf', archive, '-C', folder], folder);
    rmSync(archive);
  });
}

export async function startApicurio(): Promise<RealApicurio> {
  const folder = await apicurioApp();
  const [port] = await freePorts(1);
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`;
  const server = startJava(
    [
      ...['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
      ...['-Dquarkus.http.host=127.0.0.1', `-Dquarkus.http.port=${port}`],
      '-Dquarkus.log.level=WARN',
      ...['-jar', join(folder, `apicurio-registry-app-${VERSION}-runner.jar`)],
    ],
    folder,
  );
  await untilReady(`Apicurio ${VERSION}`, server, READY_MS_MAX, async () => {
    const answer = await fetch(`${url}/subjects`);
    if (answer.status !== 200) throw new Error(`GET ${url}/subjects answered ${answer.status}`);
    await answer.arrayBuffer();
  });
  return { url, stop: () => server.stop('SIGTERM') };
}
