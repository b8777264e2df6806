/** One rule, broken on purpose, and who must notice. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  readonly tests: string;
  /** The title of the test of the rule, or a part of it. */
  readonly kills: string;
  /** Why no simulation can notice: then the named test alone does, and it does not count as core. */
  readonly unseen?: string;
}
