/**
 * The rules of the house as pure functions over a map from path to text, so that each rule can be
 * shown a violation without touching a file. Called by `structure.test.ts` only.
 */
import { posix } from 'node:path';

export type FileMap = ReadonlyMap<string, string>;

// ---- reading sources -------------------------------------------------------------------------

type Kept = 'strings' | 'code';

/** Where a `/` starts a regular expression: nothing before it can be an operand of a division. */
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else))\s*$/;

/**
 * The text with comments blanked, and with the contents of strings and regular expressions blanked
 * too when only `code` is kept. Line breaks stay, and `${}` in a template is code.
 */
export function strip(text: string, kept: Kept): string {
  let out = '';
  let at = 0;
  const templates: number[] = []; // brace depth at which each open `${` ends
  let depth = 0;
  const blank = (piece: string): string => piece.replace(/[^\n]/g, ' ');
  const quoted = (end: number): void => {
    const piece = text.slice(at, end);
    out += kept === 'strings' ? piece : piece[0] + blank(piece.slice(1, -1)) + (piece.at(-1) ?? '');
    at = end;
  };
  const template = (): void => {
    let end = at + 1;
    while (end < text.length && text[end] !== '`' && !text.startsWith('${', end)) {
      end += text[end] === '\\' ? 2 : 1;
    }
    const opens = text.startsWith('${', end);
    quoted(end + (opens ? 2 : 1));
    if (opens) templates.push(depth++);
  };
  const closing = (quote: string): number => {
    let end = at + 1;
    let inClass = false;
    while (end < text.length && text[end] !== '\n' && (inClass || text[end] !== quote)) {
      if (quote === '/' && text[end] === '[') inClass = true;
      if (text[end] === ']') inClass = false;
      end += text[end] === '\\' ? 2 : 1;
    }
    return end + 1;
  };
  while (at < text.length) {
    const char = text[at] as string;
    if (text.startsWith('//', at) || text.startsWith('/*', at)) {
      const line = text[at + 1] === '/';
      const found = text.indexOf(line ? '\n' : '*/', at + 2);
      const end = found < 0 ? text.length : found + (line ? 0 : 2);
      out += blank(text.slice(at, end));
      at = end;
    } else if (char === "'" || char === '"') {
      quoted(closing(char));
    } else if (char === '`') {
      template();
    } else if (char === '}' && templates.at(-1) === depth - 1) {
      depth = templates.pop() as number;
      template();
    } else if (char === '/' && BEFORE_REGEX.test(out.slice(-80))) {
      quoted(closing('/'));
    } else {
      if (char === '{') depth++;
      if (char === '}') depth--;
      out += char;
      at++;
    }
  }
  return out;
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\b(?:[^'";]*?\bfrom)?\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g;

/** Every module a file names, as written. */
export function importsOf(text: string): string[] {
  return [...strip(text, 'strings').matchAll(IMPORT)].map((m) => (m[1] ?? m[2]) as string);
}

/** Imports of files, as paths from the repository's root. */
function filesImported(path: string, text: string): string[] {
  return importsOf(text)
    .filter((name) => name.startsWith('.'))
    .map((name) => posix.normalize(posix.join(posix.dirname(path), name)));
}

/** Imports of packages and of Node's modules: `@scope/name`, `name`, `node:name`. */
function packagesImported(text: string): string[] {
  return importsOf(text)
    .filter((name) => !name.startsWith('.'))
    .map((name) =>
      name
        .split('/')
        .slice(0, name.startsWith('@') ? 2 : 1)
        .join('/'),
    );
}

const within = (path: string, place: string): boolean =>
  path === place || path.startsWith(`${place}/`);

function* sources(files: FileMap, ...folders: string[]): Generator<[string, string]> {
  for (const [path, text] of files) {
    // A .d.ts describes a foreign package in that package's words.
    if (/(?<!\.d)\.m?ts$/.test(path) && folders.some((folder) => within(path, folder)))
      yield [path, text];
  }
}

// ---- imports ---------------------------------------------------------------------------------

/** What everything may import; these import one another and nothing else. */
const FREE = ['src/errors.ts', 'src/ports.ts', 'src/config', 'src/telemetry'];
const PORT = 'src/kafka/transport/transport.ts';
const KAFKA = 'src/kafka';
const KAFKAJS = 'src/kafka/transport/kafkajs.ts';

interface Room {
  readonly place: string;
  readonly imports: readonly string[];
  readonly except?: readonly string[];
  /** Not even what everything else may import. */
  readonly alone?: true;
}

/** The whole import rule: a file belongs to the first room that holds it. */
const ROOMS: readonly Room[] = [
  ...FREE.map((place) => ({ place, imports: [] })),
  { place: 'src/kafka/protocol', imports: [] },
  { place: 'src/kafka/records', imports: [] },
  // Siblings too: the cluster serves producer, fetch, group and admin.
  { place: 'src/kafka', imports: ['src/kafka'], except: ['src/kafka/transport'] },
  { place: 'src/serde', imports: [] },
  { place: 'src/topology', imports: [] },
  { place: 'src/dsl', imports: ['src/topology', 'src/serde'] },
  { place: 'src/state', imports: [KAFKA, 'src/serde'], except: [KAFKAJS] },
  { place: 'src/transaction', imports: [KAFKA], except: [KAFKAJS] },
  { place: 'src/sinks', imports: ['src/transaction'] },
  {
    place: 'src/runtime',
    imports: ['src/topology', 'src/transaction', 'src/state', 'src/serde', 'src/sinks', KAFKA],
  },
  { place: 'src/broker', imports: ['src/kafka/protocol', 'src/kafka/records'] },
  // Judges what all the others have done, so it shares nothing with them.
  { place: 'src/simulation/oracle', imports: [], alone: true },
  {
    place: 'src/simulation',
    // Of serdes their contract alone: inputs are written and results are shown by a topology's own.
    imports: [
      ...['src/broker', 'src/runtime', 'src/topology', KAFKA],
      ...['src/serde/serde.ts', 'src/serde/encode-buffer.ts'],
    ],
    except: [KAFKAJS],
  },
  // Drives tasks of the runtime without a broker.
  {
    place: 'src/testing',
    imports: [
      ...['src/runtime', 'src/topology', 'src/transaction', 'src/state', 'src/serde'],
      ...['src/simulation/seeded-random.ts', 'src/dsl/stock-operators.ts', KAFKA],
    ],
    except: [KAFKAJS],
  },
  // Property tests over driven topologies.
  {
    place: 'src/laws',
    imports: ['src/testing', 'src/runtime', 'src/topology', 'src/serde'],
  },
  { place: 'src/testing-laws.ts', imports: ['src/laws'] },
  { place: 'src/dashboard', imports: ['src/runtime'] },
  // Where the parts meet: builds an instance over the transport that was asked for.
  { place: 'src/run.ts', imports: ['src/runtime', 'src/topology', KAFKA] },
  { place: 'src/admin.ts', imports: [KAFKA] },
  {
    place: 'src/index.ts',
    imports: [
      ...['src/run.ts', 'src/admin.ts', 'src/dsl', 'src/topology', 'src/runtime', 'src/serde'],
      ...['src/kafka/transport/transport.ts', KAFKAJS],
    ],
  },
  {
    place: 'src/testing.ts',
    imports: [
      ...['src/testing', 'src/simulation', 'src/broker', 'src/index.ts'],
      'src/kafka/transport/faulty.ts',
    ],
  },
  {
    place: 'src/cli',
    imports: ['src/index.ts', 'src/testing.ts', 'src/broker', 'src/dashboard'],
  },
];

/** Rooms that speak to Kafka see the transport's port; what implements it is chosen at the doors. */
const SEES_PORT = [
  'src/index.ts',
  'src/kafka',
  'src/broker',
  'src/state',
  'src/transaction',
  'src/runtime',
  'src/run.ts',
  'src/admin.ts',
];

function mayImport(room: Room, from: string, to: string): boolean {
  if (room.alone) return within(to, room.place);
  if (FREE.some((place) => within(to, place))) return true;
  if (to === PORT) {
    const pure = ['src/kafka/protocol', 'src/kafka/records'].some((place) => within(from, place));
    return !pure && [...SEES_PORT, 'src/simulation'].some((place) => within(from, place));
  }
  if (room.except?.some((place) => within(to, place)) && !sameKafkaFolder(from, to)) return false;
  return [room.place, ...room.imports].some((place) => within(to, place));
}

/** Inside kafka/transport the implementations may lean on one another. */
function sameKafkaFolder(from: string, to: string): boolean {
  return within(from, 'src/kafka') && posix.dirname(from) === posix.dirname(to);
}

export function importTable(files: FileMap): string[] {
  const found: string[] = [];
  for (const [path, text] of sources(files, 'src')) {
    const room = ROOMS.find((each) => within(path, each.place));
    if (room === undefined) {
      found.push(`${path}: belongs to no room of the import table`);
      continue;
    }
    for (const to of filesImported(path, text)) {
      if (!within(to, 'src')) found.push(`${path}: leaves src by importing ${to}`);
      else if (!files.has(to)) found.push(`${path}: imports ${to}, which is not there`);
      else if (!mayImport(room, path, to)) {
        found.push(`${path}: ${room.place} may not import ${to}`);
      }
    }
  }
  return found;
}

/** Each cycle once, from its smallest path. Type imports count: they tie two files together, too. */
export function cycles(files: FileMap): string[] {
  const edges = new Map<string, string[]>();
  for (const [path, text] of sources(files, 'src')) edges.set(path, filesImported(path, text));
  const found = new Set<string>();
  const done = new Set<string>();
  const visit = (path: string, trail: string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      const ring = trail.slice(start);
      const first = ring.indexOf([...ring].sort()[0] as string);
      const turned = [...ring.slice(first), ...ring.slice(0, first)];
      found.add(`cycle: ${[...turned, turned[0]].join(' -> ')}`);
      return;
    }
    if (done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of [...edges.keys()].sort()) visit(path, []);
  return [...found];
}

// ---- packages --------------------------------------------------------------------------------

const ONLY_IMPORTERS: Readonly<Record<string, readonly string[]>> = {
  rxjs: ['src/dsl', 'src/testing'],
  kafkajs: [KAFKAJS],
  avsc: ['src/serde'],
  '@kafkajs/confluent-schema-registry': ['src/serde'],
  'fast-check': ['src/laws'],
  'node:fs': ['src/ports.ts', 'src/cli'],
};

interface PackageFile {
  readonly exports?: Record<string, unknown>;
  readonly dependencies?: Record<string, string>;
  readonly peerDependencies?: Record<string, string>;
}

function packageFile(files: FileMap): PackageFile {
  return JSON.parse(files.get('package.json') ?? '{}') as PackageFile;
}

export function packageImports(files: FileMap): string[] {
  const { dependencies, peerDependencies } = packageFile(files);
  const known = new Set(Object.keys({ ...dependencies, ...peerDependencies }));
  const found: string[] = [];
  for (const [path, text] of sources(files, 'src')) {
    for (const name of packagesImported(text)) {
      const only = ONLY_IMPORTERS[name];
      if (only !== undefined && !only.some((place) => within(path, place))) {
        found.push(`${path}: ${name} is imported by ${only.join(', ')} only`);
      }
      if (!name.startsWith('node:') && !known.has(name)) {
        found.push(`${path}: ${name} is neither a dependency nor a peer of the package`);
      }
    }
  }
  return found;
}

// ---- doors -----------------------------------------------------------------------------------

const DOORS: Readonly<Record<string, string>> = {
  '.': 'src/index.ts',
  './testing': 'src/testing.ts',
  // A door of its own, so that only those who use it need fast-check.
  './testing/laws': 'src/testing-laws.ts',
};
const REEXPORT = /export\s+(?:type\s+)?\{[^}]*\}\s*from\s*'[^']+'\s*;?/g;

export function doors(files: FileMap): string[] {
  const found: string[] = [];
  const exported = Object.keys(packageFile(files).exports ?? {}).sort();
  if (exported.join() !== Object.keys(DOORS).sort().join()) {
    const meant = Object.keys(DOORS).join(', ');
    found.push(`package.json: exports are ${exported.join(', ')}; the doors are ${meant}`);
  }
  for (const [path, text] of sources(files, 'src')) {
    const code = strip(text, 'strings');
    const reexports = code.match(REEXPORT)?.length ?? 0;
    const rest = code.replace(REEXPORT, '').trim();
    const isDoor = Object.values(DOORS).includes(path);
    if (isDoor && rest !== '') {
      found.push(`${path}: a door holds named re-exports only, found: ${rest.split('\n')[0]}`);
    }
    if (/\bexport\s*\*/.test(strip(text, 'code'))) found.push(`${path}: export * hides names`);
    const barrel = reexports > 0 && rest === '';
    if (!isDoor && (barrel || posix.basename(path) === 'index.ts')) {
      found.push(`${path}: an inner barrel; import from the file that owns the name`);
    }
  }
  return found;
}

/** Topologies are what users write, so they go through the doors like users. */
export function topologyImports(files: FileMap): string[] {
  const found: string[] = [];
  for (const [path, text] of sources(files, 'topologies')) {
    for (const to of filesImported(path, text)) {
      if (within(to, 'src')) found.push(`${path}: goes past the doors to ${to}`);
    }
  }
  return found;
}

// ---- what sources may not say ----------------------------------------------------------------

interface Banned {
  readonly pattern: RegExp;
  readonly what: string;
  readonly allowed: readonly string[];
}

const CLOCKWORK = ['src/ports.ts'];
const COMMAND_LINE = ['src/cli'];
const BANNED: readonly Banned[] = [
  { pattern: /\bnew\s+Date\b|\bDate\s*[.(]/, what: 'Date', allowed: CLOCKWORK },
  { pattern: /\bperformance\s*\./, what: 'performance', allowed: CLOCKWORK },
  {
    pattern: /\b(?:setTimeout|setInterval|setImmediate)\b/,
    what: 'a timer of the platform',
    allowed: CLOCKWORK,
  },
  { pattern: /\bMath\s*\.\s*random\b/, what: 'Math.random', allowed: CLOCKWORK },
  {
    pattern: /\b(?:randomBytes|randomUUID|randomInt|getRandomValues)\b/,
    what: 'randomness of the platform',
    allowed: CLOCKWORK,
  },
  { pattern: /\bconsole\s*\./, what: 'console', allowed: COMMAND_LINE },
  { pattern: /\bprocess\s*\.\s*env\b/, what: 'process.env', allowed: COMMAND_LINE },
  {
    pattern: /(?<![.\w$])any\b(?!\s*[:(\w])/,
    what: 'the type any',
    // Nodes of unknown types meet in the graph; no other type lets a Serde<T> stand beside another.
    allowed: ['src/topology/node.ts'],
  },
  { pattern: /\bexport\s+default\b/, what: 'a default export', allowed: [] },
];

export function bannedWords(files: FileMap): string[] {
  const found: string[] = [];
  for (const [path, text] of sources(files, 'src')) {
    const lines = strip(text, 'code').split('\n');
    for (const { pattern, what, allowed } of BANNED) {
      if (allowed.some((place) => within(path, place))) continue;
      const at = lines.findIndex((line) => pattern.test(line));
      if (at >= 0) found.push(`${path}:${at + 1}: uses ${what}`);
    }
  }
  return found;
}

// ---- names and lengths -----------------------------------------------------------------------

const EMPTY_WORD = /^(?:manager|helper|util|impl|base|common|misc|data|info)s?$/;

export function fileNames(files: FileMap): string[] {
  const found: string[] = [];
  for (const [path] of sources(files, 'src', 'test', 'topologies', 'scripts')) {
    const name = posix.basename(path).replace(/(?:\.test)?\.m?ts$/, '');
    if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name)) found.push(`${path}: names are kebab-case`);
    const empty = path
      .replace(/(?:\.test)?\.m?ts$/, '')
      .split(/[/.-]/)
      .find((word) => EMPTY_WORD.test(word));
    if (empty !== undefined) found.push(`${path}: "${empty}" says nothing; name what it owns`);
  }
  return found;
}

const lineCount = (text: string): number => text.replace(/\n$/, '').split('\n').length;

export function lengths(files: FileMap): string[] {
  const found: string[] = [];
  for (const [path, text] of files) {
    const most = path === 'README.md' ? 150 : /^docs\/decisions\/.+\.md$/.test(path) ? 60 : null;
    if (most !== null && lineCount(text) > most) {
      found.push(`${path}: ${lineCount(text)} lines, at most ${most}`);
    }
  }
  return found;
}
