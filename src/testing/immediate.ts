/**
 * A promise that is fulfilled already and tells so at once, not in a later turn.
 *
 * A task awaits the answer to its commit by `then`; given this one, a whole step ends within the call
 * that began it, which is what makes a driven topology synchronous.
 */
export class Immediate<T> {
  readonly #outcome: { readonly value: T } | { readonly cause: unknown };

  private constructor(outcome: { readonly value: T } | { readonly cause: unknown }) {
    this.#outcome = outcome;
  }

  static of<T>(value: T): Promise<T> {
    return new Immediate({ value }) as unknown as Promise<T>;
  }

  // biome-ignore lint/suspicious/noThenProperty: to be awaited is what it is for.
  then(
    fulfilled?: ((value: T) => unknown) | null,
    rejected?: ((cause: unknown) => unknown) | null,
  ) {
    const outcome = this.#outcome;
    const next = 'value' in outcome ? fulfilled : rejected;
    if (next == null) return this;
    try {
      const value = 'value' in outcome ? fulfilled!(outcome.value) : rejected!(outcome.cause);
      return new Immediate({ value });
    } catch (cause) {
      return new Immediate<unknown>({ cause });
    }
  }

  catch(rejected: (cause: unknown) => unknown) {
    return this.then(null, rejected);
  }

  finally(ended: () => void) {
    ended();
    return this;
  }
}
