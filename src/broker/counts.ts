/** What the broker gave up because nobody came, and what took it long: for those who disturb it. */
export interface BrokerCounts {
  /** Members that were removed since they did not beat in time. */
  sessionTimeouts: number;
  /** Transactions that were aborted since they took too long. */
  transactionTimeouts: number;
  /** Markers that took `SLOW_MARKER_MS` or more. */
  slowMarkers: number;
}

export const SLOW_MARKER_MS = 20;

export function noCounts(): BrokerCounts {
  return { sessionTimeouts: 0, transactionTimeouts: 0, slowMarkers: 0 };
}
