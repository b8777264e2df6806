/**
 * The Java programs of `test/integration/java`: compiled once, run against a broker by a test.
 *
 * A program prints what it found as lines of JSON and ends with 0. It never outlives the test that
 * started it (`java-process.ts`), and one that hangs is killed and fails its test with its log.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cached, runCommand } from './cache.ts';
import { type JavaProcess, startJava } from './java-process.ts';
import { pomOf } from './kafka.ts';

const VERSION = '4.3.1';
const sources = fileURLToPath(new URL('../java/', import.meta.url));
const RUN_MS_MAX = 400_000;

/** Clients and Kafka Streams, without the broker. */
function streamsJars(): Promise<string> {
  return cached(`kafka-streams-${VERSION}`, async (folder) => {
    writeFileSync(join(folder, 'pom.xml'), pomOf('kafka-streams', VERSION));
    const copy = ['dependency:copy-dependencies', `-DoutputDirectory=${join(folder, 'libs')}`];
    await runCommand('mvn', ['-q', '-B', ...copy], folder);
  });
}

/** The class path of the programs, compiled when their sources are not those of the last time. */
async function classPath(): Promise<string> {
  const jars = `${await streamsJars()}/libs/*`;
  const files = readdirSync(sources)
    .filter((name) => name.endsWith('.java'))
    .sort();
  const hash = createHash('sha256');
  for (const name of files) hash.update(name).update(readFileSync(join(sources, name)));
  const name = `java-programs-${hash.digest('hex').slice(0, 12)}`;
  const classes = await cached(name, async (folder) => {
    const paths = files.map((each) => join(sources, each));
    await runCommand('javac', ['-cp', jars, '-d', folder, ...paths], folder);
  });
  return `${classes}:${jars}`;
}

export interface JavaProgram {
  readonly process: JavaProcess;
  /** Lines printed so far. */
  readonly lines: readonly string[];
  /** Waits until a line satisfies; fails when the program ends or the time is up. */
  line(satisfies: (line: string) => boolean): Promise<string>;
  /** Waits for the end and fails unless it is with 0. */
  end(): Promise<void>;
}

/** Starts a program; `end` or `process.stop` must be awaited by the test. */
export async function startProgram(
  main: string,
  args: readonly (string | number)[],
): Promise<JavaProgram> {
  const lines: string[] = [];
  const watchers = new Set<() => void>();
  const settings = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn';
  const command = [...settings, quiet, '-cp', await classPath(), main, ...args.map(String)];
  const process = startJava(command, sources, (line) => {
    lines.push(line);
    for (const look of watchers) look();
  });
  void process.exited.then(() => {
    for (const look of watchers) look();
  });
  const waitFor = <T>(what: string, look: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer);
        watchers.delete(check);
        act();
      };
      const check = () => {
        const found = look();
        const end = process.ended();
        if (found !== undefined) settle(() => resolve(found));
        else if (end !== null) settle(() => reject(new Error(`${main} without ${what}: ${end}`)));
      };
      const timer = setTimeout(async () => {
        watchers.delete(check);
        // The stacks of its threads say what it waits for.
        process.kill('SIGQUIT');
        await new Promise((resolve) => setTimeout(resolve, 500));
        await process.stop('SIGKILL');
        reject(new Error(`${main}: no ${what} in ${RUN_MS_MAX} ms: ${process.ended()}`));
      }, RUN_MS_MAX);
      watchers.add(check);
      check();
    });
  return {
    process,
    lines,
    line(satisfies) {
      let next = 0; // each line is looked at once: there may be thousands
      return waitFor('the line', () => {
        while (next < lines.length) {
          const line = lines[next++]!;
          if (satisfies(line)) return line;
        }
        return undefined;
      });
    },
    async end() {
      const code = await waitFor('an end', () => process.exitCode() ?? undefined);
      if (code !== 0) throw new Error(`${main} failed: ${process.ended()}`);
    },
  };
}

/** Runs a program to its end and returns the objects that it printed. */
export async function runProgram(
  main: string,
  args: readonly (string | number)[],
): Promise<Record<string, unknown>[]> {
  const program = await startProgram(main, args);
  await program.end();
  return program.lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
}
