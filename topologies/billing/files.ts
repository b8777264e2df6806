/** The files of a run, looked at before anything starts: a run of minutes must not end in a typing error. */
import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type BillingOptions, UsageError } from './options.ts';

/** Throws `UsageError` when `--input` cannot be read or `--invoices` not be written. */
export function checkFiles({ input, invoices }: BillingOptions): void {
  if (input !== null) check('--input', input, constants.R_OK);
  if (invoices === null) return;
  const exists = statSync(invoices, { throwIfNoEntry: false }) !== undefined;
  if (exists) check('--invoices', invoices, constants.W_OK);
  else check('--invoices', dirname(invoices), constants.W_OK | constants.X_OK, 'folder');
}

function check(option: string, path: string, mode: number, kind: 'file' | 'folder' = 'file'): void {
  try {
    accessSync(path, mode);
  } catch (cause) {
    const verb = option === '--input' ? 'read' : 'written to';
    throw new UsageError(`${option}: ${path} cannot be ${verb} (${reasonOf(cause)}).`, { cause });
  }
  if (statSync(path).isDirectory() !== (kind === 'folder')) {
    throw new UsageError(`${option}: ${path} is not a ${kind}.`);
  }
}

function reasonOf(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'it does not exist';
  if (code === 'EACCES') return 'no permission';
  return message;
}
