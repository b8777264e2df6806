/**
 * What Kafka 4.3.1's own classes wrote: whole batches (MemoryRecordsBuilder, markers, an emptied
 * batch), payloads of the codec libraries that it uses, and murmur2 of strings.
 */
import { readFileSync } from 'node:fs';

interface JavaVectors {
  readonly batches: { readonly [name: string]: string };
  readonly payloads: { readonly [name: string]: string };
  readonly murmur2: { readonly [text: string]: number };
}

const vectors = JSON.parse(
  readFileSync(new URL('./java-vectors.json', import.meta.url), 'utf8'),
) as JavaVectors;

export const javaMurmur2 = vectors.murmur2;

export function javaBatch(name: string): Buffer {
  return Buffer.from(vectors.batches[name]!, 'hex');
}

export function javaPayload(name: string): Buffer {
  return Buffer.from(vectors.payloads[name]!, 'hex');
}

/** The value of the one record of the batches called `large`. */
export const largeText = Array.from(
  { length: 10_000 },
  (_, index) => `line ${(index * 7919) % 1000}\n`,
).join('');

/** What the payloads hold. */
export const payloadText = largeText.slice(0, 3_000);
