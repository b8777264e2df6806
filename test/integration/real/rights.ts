/** The rights that docs/operating.md lists, granted on a broker through its plain listener. */
import { readFileSync } from 'node:fs';
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka,
  logLevel,
  ResourcePatternTypes,
} from 'kafkajs';
import { expect } from 'vitest';

export interface Right {
  readonly resource: 'Topic' | 'Group' | 'TransactionalId';
  readonly name: string;
  readonly pattern: 'literal' | 'prefixed';
  readonly operation: string;
}

export interface Names {
  readonly applicationId: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** One right per operation and name, read out of the table. */
export function documentedRights(names: Names): Right[] {
  const text = readFileSync(new URL('../../../docs/operating.md', import.meta.url), 'utf8');
  const rows = text.split('\n').filter((line) => /^\| (Topic|Group|TransactionalId) \|/.test(line));
  return rows.flatMap((row) => {
    const cells = row.split('|').map((cell) => cell.trim());
    const [, resource, name, pattern, operations] = cells as [string, ...string[]];
    return namesOf(name!, names).flatMap((each) =>
      operations!.split(', ').map(
        (operation): Right => ({
          resource: resource as Right['resource'],
          name: each,
          pattern: pattern as Right['pattern'],
          operation,
        }),
      ),
    );
  });
}

function namesOf(cell: string, { applicationId, inputs, outputs }: Names): readonly string[] {
  if (cell === 'each input') return inputs;
  if (cell === 'each output and dead-letter topic') return outputs;
  const code = /^`(.*)`$/.exec(cell)?.[1];
  if (code === undefined) throw new Error(`docs/operating.md: what is '${cell}'?`);
  return [code.replace('<application id>', applicationId)];
}

const RESOURCES = {
  Topic: AclResourceTypes.TOPIC,
  Group: AclResourceTypes.GROUP,
  TransactionalId: AclResourceTypes.TRANSACTIONAL_ID,
} as const;

/** `DescribeConfigs` is `DESCRIBE_CONFIGS` in kafkajs. */
function operationOf(name: string): AclOperationTypes {
  const constant = name.replace(/(?!^)([A-Z])/g, '_$1').toUpperCase();
  return AclOperationTypes[constant as keyof typeof AclOperationTypes];
}

function entryOf(user: string, { resource, name, pattern, operation }: Right) {
  return {
    resourceType: RESOURCES[resource],
    resourceName: name,
    resourcePatternType:
      pattern === 'literal' ? ResourcePatternTypes.LITERAL : ResourcePatternTypes.PREFIXED,
    principal: `User:${user}`,
    host: '*',
    operation: operationOf(operation),
    permissionType: AclPermissionTypes.ALLOW,
  };
}

async function withAdmin<T>(
  bootstrap: string,
  ask: (admin: ReturnType<Kafka['admin']>) => Promise<T>,
): Promise<T> {
  const admin = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    return await ask(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Resolves when the broker knows them. */
export async function grant(bootstrap: string, user: string, rights: readonly Right[]) {
  const acl = rights.map((right) => entryOf(user, right));
  await withAdmin(bootstrap, async (admin) => {
    await admin.createAcls({ acl });
    const known = async (): Promise<boolean> => {
      for (const right of rights) if ((await held(admin, user, right)) === 0) return false;
      return true;
    };
    await expect.poll(known, { timeout: 60_000 }).toBe(true);
  });
}

/** Resolves when the broker has forgotten it. */
export async function revoke(bootstrap: string, user: string, right: Right) {
  await withAdmin(bootstrap, async (admin) => {
    await admin.deleteAcls({ filters: [entryOf(user, right)] });
    await expect.poll(() => held(admin, user, right), { timeout: 60_000 }).toBe(0);
  });
}

async function held(admin: ReturnType<Kafka['admin']>, user: string, right: Right) {
  const { resources } = await admin.describeAcls(entryOf(user, right));
  return resources.reduce((sum, { acls }) => sum + acls.length, 0);
}
