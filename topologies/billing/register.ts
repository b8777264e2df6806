/** Registers the schemas of billing, once per deployment: `node dist/topologies/billing/register.js`. */
import { Command } from 'commander';
import { EscapementError } from 'escapement';
import { registryAt } from './registry.ts';
import { registerSchemas } from './schemas.ts';

const { registry } = new Command('billing-register')
  .description('Registers the schemas that billing writes.')
  .requiredOption('--registry <url>', 'Confluent-compatible schema registry')
  .parse()
  .opts<{ registry: string }>();

try {
  await registerSchemas(registryAt(registry));
  console.log(`the schemas of billing are registered at ${registry}`);
} catch (error) {
  if (!(error instanceof EscapementError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
