/** What was done to a run and when: one JSON object a line in a file, and the last ones at hand. */
import { appendFileSync } from 'node:fs';

export interface Happening {
  /** Milliseconds since the run began. */
  readonly atMs: number;
  readonly what: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export class Timeline {
  readonly #file: string;
  readonly #began = performance.now();
  readonly #all: Happening[] = [];
  readonly #counts = new Map<string, number>();

  constructor(file: string) {
    this.#file = file;
  }

  get nowMs(): number {
    return performance.now() - this.#began;
  }

  tell(what: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const happening = { atMs: Math.round(this.nowMs), what, fields };
    this.#all.push(happening);
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
    const line = { at: new Date().toISOString(), ...happening };
    appendFileSync(this.#file, `${JSON.stringify(line)}\n`);
  }

  /** How often this happened. */
  count(what: string): number {
    return this.#counts.get(what) ?? 0;
  }

  /** Lines of what happened last. */
  last(most: number): string[] {
    return this.#all
      .slice(-most)
      .map(({ atMs, what, fields }) => `${(atMs / 1000).toFixed(2)} s ${what} ${shown(fields)}`);
  }
}

function shown(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}
