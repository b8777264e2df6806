import { sequences } from './sequences-suite.ts';

sequences('embedded-tv1', 'kafka-3.9.1', ['v1']);
