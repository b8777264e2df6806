/** A private certificate authority for a test, made with openssl: nothing of it outlives the test. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './cache.ts';

/** PEM texts: a certificate and its key, PKCS 8. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

export interface IdentityOptions {
  readonly name: string;
  /** As openssl writes them: `IP:127.0.0.1`, `DNS:broker.example`. */
  readonly names: string;
  /** -1: expired since yesterday. Default 2. */
  readonly days?: number;
}

const CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export class Authority {
  readonly cert: string;
  readonly #folder: string;
  readonly #name: string;

  private constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
    this.cert = readFileSync(join(folder, `${name}.pem`), 'utf8');
  }

  static async create(folder: string, name = 'ca'): Promise<Authority> {
    const subject = ['-days', '2', '-subj', `/CN=${name}`];
    const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`];
    await runCommand('openssl', ['req', '-x509', ...CURVE, ...files, ...subject], folder);
    return new Authority(folder, name);
  }

  async issue({ name, names, days = 2 }: IdentityOptions): Promise<Identity> {
    const folder = this.#folder;
    const [key, request, cert] = ['key', 'csr', 'pem'].map((end) => `${name}.${end}`) as [
      string,
      string,
      string,
    ];
    writeFileSync(join(folder, `${name}.ext`), `subjectAltName=${names}\n`);
    await runCommand(
      'openssl',
      ['req', ...CURVE, '-keyout', key, '-out', request, '-subj', `/CN=${name}`],
      folder,
    );
    const by = ['-CA', `${this.#name}.pem`, '-CAkey', `${this.#name}.key`, '-CAcreateserial'];
    const extensions = ['-extfile', `${name}.ext`, '-days', String(days)];
    await runCommand(
      'openssl',
      ['x509', '-req', '-in', request, ...by, ...extensions, '-out', cert],
      folder,
    );
    return {
      cert: readFileSync(join(folder, cert), 'utf8'),
      key: readFileSync(join(folder, key), 'utf8'),
    };
  }

  /** The key under a passphrase. */
  async encrypt({ key }: Identity, passphrase: string): Promise<string> {
    const [plain, secret] = ['plain.key', 'secret.key'] as const;
    writeFileSync(join(this.#folder, plain), key);
    const args = ['pkcs8', '-topk8', '-v2', 'aes256', '-in', plain, '-out', secret];
    await runCommand('openssl', [...args, '-passout', `pass:${passphrase}`], this.#folder);
    return readFileSync(join(this.#folder, secret), 'utf8');
  }
}
