/**
 * Names that become Kafka topics, groups and transactional ids: one rule for all of them.
 */

/** Kafka's own limit (Topic.java). */
export const NAME_LENGTH_MAX = 249;

const NAME = /^[a-zA-Z0-9._-]+$/;

/** What is wrong with a name and how to mend it, or `null`. */
export function nameProblem(name: unknown): string | null {
  if (typeof name !== 'string' || name === '') {
    return `needs a name of 1 to ${NAME_LENGTH_MAX} of [a-zA-Z0-9._-], got ${shown(name)}`;
  }
  if (!NAME.test(name) || name === '.' || name === '..') {
    return `the name ${shown(name)} may only hold [a-zA-Z0-9._-] and not be '.' or '..'`;
  }
  if (name.length > NAME_LENGTH_MAX) {
    return `the name ${shown(name)} has ${name.length} characters, at most ${NAME_LENGTH_MAX}`;
  }
  return null;
}

/** Brokers refuse two topics that differ in '.' and '_' only: their metrics would collide. */
export function collisionKey(name: string): string {
  return name.replaceAll('.', '_');
}

function shown(name: unknown): string {
  return typeof name === 'string' ? `'${name}'` : String(name);
}
