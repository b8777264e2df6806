import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { bareError, EscapementError, printable } from '../src/errors.ts';

describe('the message of an error', () => {
  it('has no control character, whoever wrote the name in it', () => {
    const name = 'a\u001b[31m\u0000b\rc\u009b\u2028d\u202ee';
    const { message, stack } = new EscapementError('RECORD_FAILED', `header '${name}' failed`);
    expect(message).toBe("header 'a\\u001b[31m\\u0000b\\u000dc\\u009b\\u2028d\\u202ee' failed");
    expect(stack).toContain(message);
  });

  it('has no line that could pass for a line of the log', () => {
    const forged = 'oops\n2026-01-01 INFO paid in full\n  - kept as it is';
    const { message } = new EscapementError('RECORD_FAILED', `user code: ${forged}`);
    expect(
      message
        .split('\n')
        .slice(1)
        .every((line) => line.startsWith('  ')),
    ).toBe(true);
    expect(message).toContain('\n  - kept as it is');
  });

  it('leaves out the user and the password of a URL', () => {
    for (const url of [
      'http://me:s3cret@host/x',
      'https://s3cret@host',
      'kafka+ssl://a:s3cret@h:1',
    ]) {
      expect(printable(`asked ${url} twice`)).not.toContain('s3cret');
      expect(printable(`asked ${url} twice`)).toContain('[redacted]@h');
    }
    expect(printable('mail me@example.com about http://host/a@b')).toContain('http://host/a@b');
  });
});

describe('a foreign error as a cause', () => {
  it('keeps name, message, code and stack, and nothing else', () => {
    const foreign = Object.assign(new TypeError('no\u0007'), {
      code: 'ECONNRESET',
      config: { headers: { authorization: 'Bearer s3cret' } },
      cause: new Error('s3cret'),
    });
    const bare = bareError(foreign);
    expect(bare).toMatchObject({ name: 'TypeError', message: 'no\\u0007', code: 'ECONNRESET' });
    expect(bare.stack).toContain('errors.test.ts');
    expect(inspect(bare, { depth: null, showHidden: true })).not.toContain('s3cret');
    expect(bareError('text').message).toBe('text');
  });
});
