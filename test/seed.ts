/**
 * Properties are checked with the same inputs in every run, so that a change is what turns one red, not
 * the draw of the day. More draws: another seed here.
 */
import fc from 'fast-check';

fc.configureGlobal({ seed: 20_261_126 });
