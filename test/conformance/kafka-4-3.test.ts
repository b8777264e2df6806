import { conformance } from './suite.ts';

conformance('kafka-4.3.1');
