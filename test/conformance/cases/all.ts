/** Every case of the suite. */
import type { Case } from '../case.ts';
import { COORDINATOR } from './coordinator.ts';
import { KAFKA_TRANSACTIONS } from './kafka-transactions.ts';
import { PRODUCE } from './produce.ts';

export const CASES: readonly Case[] = [...KAFKA_TRANSACTIONS, ...COORDINATOR, ...PRODUCE];
