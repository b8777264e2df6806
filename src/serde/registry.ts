/**
 * The schema registry as escapement sees it: three questions.
 *
 * Implementations: `confluentRegistry` (a server that speaks the Confluent API), `memoryRegistry`
 * (in this process); `serveRegistry` offers any of them to other processes. One conformance suite
 * runs over all of them.
 *
 * I1. Ids never change their meaning, so whoever asks may keep an answer for ever.
 * I2. Rejections are `EscapementError`s: `SCHEMA_UNKNOWN` for a definite "not registered",
 *     `SCHEMA_INCOMPATIBLE` for a refused registration, `OPTION_INVALID` for a text that is no
 *     Avro schema, `REGISTRY_UNAVAILABLE` for everything that may pass (ask again).
 * I3. `schemaById` is asked for what a record names. A rejection with the decision `record` is about
 *     that id alone: the records that name it are unreadable, by their source's policy.
 */
export interface Registry {
  /** Text of the schema with this id, which stands by itself: no name is defined elsewhere. */
  schemaById(id: number): Promise<string>;
  /** Id of `schema` under `subject`; registers nothing. */
  idOf(subject: string, schema: string): Promise<number>;
  /** Registers `schema` under `subject` where it is missing, and returns its id. */
  register(subject: string, schema: string): Promise<number>;
}
