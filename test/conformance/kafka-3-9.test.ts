import { conformance } from './suite.ts';

conformance('kafka-3.9.1');
