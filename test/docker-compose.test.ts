/** Continuous integration does not start the compose file; what it says is checked against the code. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

const root = fileURLToPath(new URL('../', import.meta.url));

interface Service {
  readonly image: string;
  readonly command?: string | readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly volumes?: readonly string[];
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, null>>;
}

const compose = parse(readFileSync(`${root}docker-compose.yml`, 'utf8'), {
  merge: true,
}) as Compose;
const services = Object.entries(compose.services);

const words = (service: Service): readonly string[] =>
  typeof service.command === 'string' ? service.command.split(/\s+/) : (service.command ?? []);

/** The source of a script named in a command: compiled code is looked for where it is compiled from. */
function sourceOf(script: string): string {
  return root + script.replace(/^dist\/(topologies\/.+)\.js$/, '$1.ts');
}

describe('docker-compose.yml', () => {
  test('names the images the integration tests know', () => {
    const images = new Set(services.map(([, { image }]) => image));
    const known = [
      'apache/kafka:4.3.1',
      'apicurio/apicurio-registry:3.0.9',
      'postgres:17',
      'node:20',
    ];
    expect([...images].sort()).toEqual(known.sort());
  });

  test('runs scripts that exist with options they have', () => {
    const commands = services.map(([, each]) => words(each)).filter(([first]) => first === 'node');
    expect(commands).toHaveLength(4);
    for (const [, script, ...rest] of commands) {
      const source = sourceOf(script as string);
      expect(existsSync(source), `${script} comes from ${source}`).toBe(true);
      const text = readFileSync(source, 'utf8');
      const options = rest.filter((word) => word.startsWith('--'));
      for (const option of options) expect(text).toContain(option.slice(2));
    }
  });

  test('gives each billing instance an id of its own', () => {
    const ids = services
      .map(([, each]) => words(each))
      .filter((command) => command.includes('--instance-id'))
      .map((command) => command[command.indexOf('--instance-id') + 1]);
    expect(ids).toEqual(['billing-1', 'billing-2']);
  });

  test('reaches other services by names that are there', () => {
    for (const [, service] of services) {
      const hosts = words(service).flatMap(
        (word) => /^(?:https?:\/\/)?([a-z][a-z0-9-]*):\d+/.exec(word)?.[1] ?? [],
      );
      for (const host of hosts) expect(Object.keys(compose.services)).toContain(host);
      for (const name of Object.keys(service.depends_on ?? {})) {
        expect(Object.keys(compose.services)).toContain(name);
      }
    }
  });

  test('opens ports on this machine only and mounts declared volumes', () => {
    for (const [, { ports = [], volumes = [] }] of services) {
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
      for (const volume of volumes) {
        const [source] = volume.split(':');
        expect(source === '.' || source! in compose.volumes).toBe(true);
      }
    }
  });
});
