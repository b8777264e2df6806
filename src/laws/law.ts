/** The laws, what they are called, and where to look when one is broken. */

/** In the order in which they are checked: a broken one makes those below it hard to judge. */
export const LAWS = {
  'every record is done': 'A function or a serde fails for a record that the arbitraries can draw.',
  'serde round trip':
    'A serde reads something else than it wrote: state and what is sent on lose it in a restart.',
  'batch equals stream':
    'A result follows from how many records a step holds, or from what is under way at a time.',
  'crash equivalence':
    'A function keeps something in a variable: state belongs into aggregate() or count().',
  'partition independence':
    'A result follows from the partition, or from records of other keys that share it.',
  'order insensitivity':
    'The claim of `orderInsensitive` does not hold: the order of two records changes the result.',
} as const satisfies Readonly<Record<string, string>>;

export type Law = keyof typeof LAWS;

export const LAW_NAMES = Object.keys(LAWS) as readonly Law[];
