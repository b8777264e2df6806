/**
 * The real parts all integration tests share. Use topic, group and subject names of your own; a
 * test that restarts or kills its broker starts one with `startKafka`.
 */
import { inject } from 'vitest';
import type {} from './global-setup.ts';
import type { KafkaVersion } from './kafka.ts';

async function ask(name: string): Promise<string> {
  const answer = await fetch(`${inject('lender')}/${name}`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text;
}

/** Bootstrap address of the shared broker of that version, which starts when first asked for. */
export async function sharedKafka(
  version: KafkaVersion = '4.3.1',
): Promise<{ readonly bootstrap: string; readonly version: KafkaVersion }> {
  return { bootstrap: await ask(`kafka-${version}`), version };
}

/** Base address of the shared registry. */
export async function sharedApicurio(): Promise<{ readonly url: string }> {
  return { url: await ask('apicurio') };
}
