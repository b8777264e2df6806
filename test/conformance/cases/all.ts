/** Every case of the suite. */
import type { Case } from '../case.ts';
import { KAFKA_TRANSACTIONS } from './kafka-transactions.ts';

export const CASES: readonly Case[] = [...KAFKA_TRANSACTIONS];
