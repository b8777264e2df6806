import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  bannedWords,
  cycles,
  doors,
  type FileMap,
  fileNames,
  importsOf,
  importTable,
  lengths,
  packageImports,
  strip,
  topologyImports,
} from './structure-rules.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

function read(...places: string[]): FileMap {
  const files = new Map<string, string>();
  for (const place of places) {
    for (const entry of readdirSync(join(root, place), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (!entry.isFile() || !/\.(?:m?ts|md)$/.test(entry.name)) continue;
      files.set(relative(root, path).split(sep).join('/'), readFileSync(path, 'utf8'));
    }
  }
  for (const name of ['package.json', 'README.md']) {
    try {
      files.set(name, readFileSync(join(root, name), 'utf8'));
    } catch {
      // the rules that need it say so
    }
  }
  return files;
}

const house = read('src', 'test', 'topologies', 'scripts', 'docs');

describe('the house', () => {
  test.each([
    ['keeps the import table', importTable],
    ['has no import cycle', cycles],
    ['imports each package where its room is', packageImports],
    ['has three doors and no inner barrel', doors],
    ['lets topologies in through the doors only', topologyImports],
    ['takes time, randomness, output and environment through its ports', bannedWords],
    ['names files after what they own', fileNames],
    ['keeps the README and the decision notes short', lengths],
  ])('%s', (_title, rule) => {
    expect(house.size).toBeGreaterThan(10);
    expect(rule(house)).toEqual([]);
  });
});

const PACKAGE = JSON.stringify({
  exports: { '.': {}, './testing': {}, './testing/laws': {} },
  dependencies: { kafkajs: '2.2.4', avsc: '~5.7.9' },
  peerDependencies: { rxjs: '^7.8.2', 'fast-check': '^4.10.0' },
});

const map = (files: Record<string, string>): FileMap =>
  new Map(Object.entries({ 'package.json': PACKAGE, ...files }));

const line = (length: number): string => 'a line\n'.repeat(length);

/** rule, what is broken, the file map that breaks it, words the finding holds */
const violations: [(files: FileMap) => string[], string, Record<string, string>, string][] = [
  [
    importTable,
    'a serde that reads the topology',
    {
      'src/serde/long.ts': "import type { Node } from '../topology/node.ts';\n",
      'src/topology/node.ts': 'export interface Node {}\n',
    },
    'src/serde may not import src/topology/node.ts',
  ],
  [
    importTable,
    'an import spread over lines',
    {
      'src/state/table.ts': "import {\n  a,\n  b,\n} from '../runtime/task.ts';\n",
      'src/runtime/task.ts': '',
    },
    'src/state may not import src/runtime/task.ts',
  ],
  [
    importTable,
    'a re-export',
    { 'src/errors.ts': "export { a } from './topology/a.ts';\n", 'src/topology/a.ts': '' },
    'src/errors.ts may not import',
  ],
  [
    importTable,
    'a dynamic import',
    { 'src/dsl/to.ts': "const a = await import('../state/a.ts');\n", 'src/state/a.ts': '' },
    'src/dsl may not import',
  ],
  [
    importTable,
    'an oracle that reads with the code it judges',
    {
      'src/simulation/oracle/a.ts': "import { b } from '../../kafka/protocol/b.ts';",
      'src/kafka/protocol/b.ts': '',
    },
    'src/simulation/oracle may not import',
  ],
  [
    importTable,
    'an oracle that takes what everybody may take',
    {
      'src/simulation/oracle/a.ts': "import { invariant } from '../../errors.ts';",
      'src/errors.ts': '',
    },
    'src/simulation/oracle may not import',
  ],
  [
    importTable,
    'protocol that reads records',
    {
      'src/kafka/protocol/a.ts': "import { b } from '../records/b.ts';",
      'src/kafka/records/b.ts': '',
    },
    'src/kafka/protocol may not import',
  ],
  [
    importTable,
    'protocol that sees the transport',
    {
      'src/kafka/protocol/a.ts': "import { b } from '../transport/transport.ts';",
      'src/kafka/transport/transport.ts': '',
    },
    'src/kafka/protocol may not import',
  ],
  [
    importTable,
    'a producer that picks its transport',
    {
      'src/kafka/producer/a.ts': "import { b } from '../transport/kafkajs.ts';",
      'src/kafka/transport/kafkajs.ts': '',
    },
    'src/kafka may not import src/kafka/transport/kafkajs.ts',
  ],
  [
    importTable,
    'a broker that uses the client',
    {
      'src/broker/a.ts': "import { b } from '../kafka/cluster/b.ts';",
      'src/kafka/cluster/b.ts': '',
    },
    'src/broker may not import',
  ],
  [importTable, 'a room nobody knows', { 'src/attic/a.ts': '' }, 'belongs to no room'],
  [importTable, 'a file that is gone', { 'src/dsl/a.ts': "import './b.ts';" }, 'is not there'],
  [
    importTable,
    'an import from tests',
    { 'src/dsl/a.ts': "import '../../test/b.ts';" },
    'leaves src',
  ],
  [
    cycles,
    'three files in a ring',
    {
      'src/state/a.ts': "import './b.ts';",
      'src/state/b.ts': "import type { C } from './c.ts';",
      'src/state/c.ts': "export { a } from './a.ts';",
    },
    'cycle: src/state/a.ts -> src/state/b.ts -> src/state/c.ts -> src/state/a.ts',
  ],
  [
    packageImports,
    'rxjs in the runtime',
    { 'src/runtime/a.ts': "import { of } from 'rxjs';" },
    'rxjs is imported by',
  ],
  [
    packageImports,
    'an operator path of rxjs in state',
    { 'src/state/a.ts': "import { map } from 'rxjs/operators';" },
    'rxjs is imported by',
  ],
  [
    packageImports,
    'a kafkajs type outside its adapter',
    { 'src/kafka/fetch/a.ts': "import type { Kafka } from 'kafkajs';" },
    'kafkajs is imported by',
  ],
  [
    packageImports,
    'avsc in the language',
    { 'src/dsl/a.ts': "import avsc from 'avsc';" },
    'avsc is imported by',
  ],
  [
    packageImports,
    'fast-check in the driver, which all tests load',
    { 'src/testing/a.ts': "import fc from 'fast-check';" },
    'fast-check is imported by src/laws only',
  ],
  [
    packageImports,
    'files read in state',
    { 'src/state/a.ts': "import { readFileSync } from 'node:fs';" },
    'node:fs',
  ],
  [
    packageImports,
    'a package nobody declared',
    { 'src/dsl/a.ts': "import 'left-pad';" },
    'left-pad is neither',
  ],
  [
    doors,
    'a door that nobody knows',
    { 'package.json': '{"exports":{".":{},"./testing":{},"./testing/laws":{},"./broker":{}}}' },
    'the doors are ., ./testing, ./testing/laws',
  ],
  [
    doors,
    'code in a door',
    { 'src/index.ts': "export { a } from './dsl/a.ts';\nconst b = 1;\n" },
    'const b = 1',
  ],
  [doors, 'a star', { 'src/dsl/all.ts': "export * from './a.ts';\n" }, 'export * hides'],
  [
    doors,
    'an inner barrel',
    { 'src/dsl/all.ts': "export { a } from './a.ts';\n" },
    'an inner barrel',
  ],
  [doors, 'an inner index', { 'src/dsl/index.ts': 'export const a = 1;\n' }, 'an inner barrel'],
  [
    topologyImports,
    'a topology that climbs into src',
    { 'topologies/billing/a.ts': "import { a } from '../../src/state/a.ts';" },
    'goes past the doors',
  ],
  [
    bannedWords,
    'the date',
    { 'src/state/a.ts': 'const t = Date.now();' },
    'src/state/a.ts:1: uses Date',
  ],
  [
    bannedWords,
    'a new date',
    { 'src/state/a.ts': '\nconst t = new Date();' },
    'src/state/a.ts:2: uses Date',
  ],
  [bannedWords, 'the monotonic clock', { 'src/state/a.ts': 'performance.now();' }, 'performance'],
  [bannedWords, 'a timer', { 'src/state/a.ts': 'setTimeout(f, 1);' }, 'a timer'],
  [
    bannedWords,
    'a timer as a value',
    { 'src/state/a.ts': 'const later = setImmediate;' },
    'a timer',
  ],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: source text, not a template
  [bannedWords, 'chance', { 'src/state/a.ts': 'const x = `a${Math.random()}`;' }, 'Math.random'],
  [bannedWords, 'random bytes', { 'src/state/a.ts': 'randomUUID();' }, 'randomness'],
  [bannedWords, 'console', { 'src/state/a.ts': 'console.log(1);' }, 'console'],
  [
    bannedWords,
    'the environment',
    { 'src/runtime/a.ts': 'const a = process.env.HOME;' },
    'process.env',
  ],
  [bannedWords, 'any as a type', { 'src/dsl/a.ts': 'const a: any = 1;' }, 'the type any'],
  [bannedWords, 'any in an assertion', { 'src/dsl/a.ts': '(a as any).b();' }, 'the type any'],
  [
    bannedWords,
    'any as an argument',
    { 'src/dsl/a.ts': 'const a = new Map<string, any>();' },
    'the type any',
  ],
  [bannedWords, 'a default export', { 'src/dsl/a.ts': 'export default 1;' }, 'a default export'],
  [fileNames, 'a helper', { 'src/state/table-helpers.ts': '' }, '"helpers" says nothing'],
  [fileNames, 'a folder of utilities', { 'test/utils/clock.ts': '' }, '"utils" says nothing'],
  [
    fileNames,
    'a manager under test',
    { 'test/state/manager.test.ts': '' },
    '"manager" says nothing',
  ],
  [fileNames, 'a name in camel case', { 'src/state/flatTable.ts': '' }, 'kebab-case'],
  [lengths, 'a README of 151 lines', { 'README.md': line(151) }, '151 lines, at most 150'],
  [lengths, 'a long decision', { 'docs/decisions/0001-a.md': line(61) }, '61 lines, at most 60'],
];

describe('a broken rule is found:', () => {
  test.each(violations)('%o: %s', (rule, _what, files, words) => {
    const found = rule(map(files));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(words);
  });
});

describe('what the rules allow:', () => {
  const allowed: [string, (files: FileMap) => string[], Record<string, string>][] = [
    [
      'everything imports errors, ports, config and telemetry',
      importTable,
      {
        'src/serde/a.ts':
          "import '../errors.ts';\nimport '../ports.ts';\nimport '../config/b.ts';\nimport '../telemetry/log.ts';",
        'src/errors.ts': '',
        'src/ports.ts': '',
        'src/config/b.ts': '',
        'src/telemetry/log.ts': '',
      },
    ],
    [
      'the client leans on its cluster and the port',
      importTable,
      {
        'src/kafka/producer/a.ts': "import '../cluster/b.ts';\nimport '../transport/transport.ts';",
        'src/kafka/cluster/b.ts': '',
        'src/kafka/transport/transport.ts': '',
      },
    ],
    [
      'a forbidden word in a comment, a string, a template or an expression is no use of it',
      bannedWords,
      {
        'src/dsl/a.ts':
          // biome-ignore lint/suspicious/noTemplateCurlyInString: source text, not a template
          "// console.log(any)\n/* new Date() */\nconst a = 'any process.env';\nconst b = `setTimeout ${a}`;\nconst c = /Math.random()'/;\nconst d = Promise.any([]);\n",
      },
    ],
    ['ports own the clock', bannedWords, { 'src/ports.ts': 'Date.now(); setTimeout(f, 1);' }],
    ['the command line prints', bannedWords, { 'src/cli/run.ts': 'console.log(process.env.A);' }],
    ['a README of 150 lines', lengths, { 'README.md': line(150) }],
    [
      'doors of named re-exports',
      doors,
      {
        'src/index.ts':
          "// doc\nexport { a } from './dsl/a.ts';\nexport type { B } from './dsl/b.ts';\n",
      },
    ],
  ];
  test.each(allowed)('%s', (_title, rule, files) => {
    expect(rule(map(files))).toEqual([]);
  });
});

describe('reading sources', () => {
  test('finds every way of importing', () => {
    const text = [
      "import a from 'a';",
      "import type { B } from 'b';",
      "import {\n  c,\n} from 'c';",
      "import 'd';",
      "export { e } from 'e';",
      "export * from 'f';",
      "const g = await import('g');",
      "// import 'not';",
      'const h = "import \'neither\'";',
    ].join('\n');
    expect(importsOf(text)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
  });

  test('keeps code inside templates and blanks the rest', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: source text, not a template
    const text = 'const a = `x ${f({ b: `y ${c} z` })} w`; // end';
    const code = strip(text, 'code');
    expect(code).toHaveLength(text.length);
    expect(code.replace(/\s+/g, '').trim()).toBe('consta=`{f({b:`{c}`})}`;');
  });
});
