import { expect, test } from 'vitest';
import {
  SESSION_SUCCESSORS,
  type SessionState,
  successor,
} from '../../../src/kafka/producer/session-state.ts';

test('every state of a session leads back to ready, and none to itself', () => {
  const states = Object.keys(SESSION_SUCCESSORS) as SessionState[];
  for (const from of states) {
    const reached = new Set<SessionState>([from]);
    for (const state of reached) for (const next of SESSION_SUCCESSORS[state]) reached.add(next);
    expect([from, reached.has('ready')]).toEqual([from, true]);
    expect(SESSION_SUCCESSORS[from]).not.toContain(from);
  }
});

test('after an unknown fate only init is legal', () => {
  expect(SESSION_SUCCESSORS.unknown).toEqual(['initializing']);
  expect(SESSION_SUCCESSORS.fenced).toEqual(['initializing']);
  expect(() => successor('unknown', 'committing')).toThrow('from=unknown to=committing');
});
