/** The brokers that are asked first: `host:port`, or several separated by commas, of which some may be away. */

export function addressesOf(bootstrap: string): string[] {
  return bootstrap.split(',');
}

/** The answer of the first broker that gives one; rejects as the last one did. */
export async function firstAnswer<T>(
  bootstrap: string,
  ask: (address: string) => Promise<T>,
): Promise<T> {
  let failure: unknown;
  for (const address of addressesOf(bootstrap)) {
    try {
      return await ask(address);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
