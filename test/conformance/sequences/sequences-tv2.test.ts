import { sequences } from './sequences-suite.ts';

sequences('embedded-tv2', 'kafka-4.3.1', ['v1', 'v2']);
