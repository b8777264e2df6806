/** The schemas of billing, read from `schemas/` at the root of the repository. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Registry } from 'escapement';

export const usageSchema = schema('usage-events-value');
export const invoiceSchema = schema('invoices-value');
export const tallySchema = schema('billing-usage-by-hour-changelog-value');

/** Registers what billing writes; done at deployment, never by a billing process. */
export async function registerSchemas(registry: Registry): Promise<void> {
  await registry.register('usage-events-value', usageSchema);
  await registry.register('invoices-value', invoiceSchema);
  await registry.register('billing-usage-by-hour-changelog-value', tallySchema);
}

/** Found from the sources and from the built files alike. */
function schema(subject: string): string {
  for (const root of ['../../', '../../../']) {
    const file = new URL(`${root}schemas/${subject}/1.avsc`, import.meta.url);
    if (existsSync(file)) return readFileSync(file, 'utf8');
  }
  throw new Error(`no schema of ${subject} above ${fileURLToPath(import.meta.url)}`);
}
