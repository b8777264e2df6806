import { conformance } from './suite.ts';

conformance('embedded-tv2');
