// The CAs of a cluster as files of `server/tls`: made where there are none, kept where somebody made them before.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { certificatesIn, makeAuthority, type Pair } from './certificate.ts';

const names = ['server-ca', 'client-ca', 'request-header-ca', 'etcd/peer-ca', 'etcd/server-ca'] as const;
type Name = (typeof names)[number];

export type Authorities = Readonly<Record<Name, Pair>>;

/** Files of `server/tls` that a joining server receives. */
export type Bootstrap = Readonly<Record<string, string>>;

export function hasAuthorities(tls: string): boolean {
  return existsSync(join(tls, 'server-ca.key'));
}

/** Reads the CAs, making those that are not there. */
export function openAuthorities(tls: string, now: number): Authorities {
  const open = (name: Name): Pair => {
    const file = join(tls, name);
    if (!existsSync(`${file}.crt`)) {
      const made = makeAuthority(`k3s-${name.replace('/', '-')}@${Math.floor(now / 1000)}`, now);
      writeSecret(`${file}.key`, made.key);
      writeSecret(`${file}.crt`, made.certificate);
    }
    return { certificate: readFileSync(`${file}.crt`, 'utf8'), key: readFileSync(`${file}.key`, 'utf8') };
  };
  return {
    'server-ca': open('server-ca'),
    'client-ca': open('client-ca'),
    'request-header-ca': open('request-header-ca'),
    'etcd/peer-ca': open('etcd/peer-ca'),
    'etcd/server-ca': open('etcd/server-ca'),
  };
}

export function bootstrapOf(authorities: Authorities): Bootstrap {
  return Object.fromEntries(
    names.flatMap((name) => [
      [`${name}.crt`, authorities[name].certificate],
      [`${name}.key`, authorities[name].key],
    ]),
  );
}

export function writeBootstrap(tls: string, bootstrap: Bootstrap): void {
  for (const name of names.flatMap((one) => [`${one}.crt`, `${one}.key`])) {
    writeSecret(join(tls, name), bootstrap[name] ?? '');
  }
}

/**
 * A server that was here before: what is not there any more comes from its store, as in k3s. Fails where a file is another
 * than the store has, an empty one too.
 */
export function reconcileBootstrap(tls: string, kept: Bootstrap): void {
  const differ: string[] = [];
  for (const [name, text] of Object.entries(kept)) {
    const path = join(tls, name);
    if (!existsSync(path)) writeSecret(path, text);
    else if (readFileSync(path, 'utf8') !== text) differ.push(path);
  }
  if (differ.length === 0) return;
  throw new Failure('environment', {
    what: `${differ.join(', ')} newer than datastore and could cause a cluster outage. Remove the file(s) from disk and restart to be recreated from datastore.`,
  });
}

/** What a K10 token carries: of one certificate the hash of the file, of a bundle the hash of its last one's DER. */
export function hashOf(pem: string): string {
  const all = certificatesIn(pem);
  const bytes = all.length > 1 ? (all.at(-1) ?? pem) : pem;
  return createHash('sha256').update(bytes).digest('hex');
}

export function passwordOf(token: string): {
  hash: string | undefined;
  password: string;
  bootstrap: boolean;
} {
  const [, hash, rest = token] = /^K10([0-9a-f]{64})?::(.*)$/s.exec(token) ?? [];
  const bootstrap = /^[a-z0-9]{6}\.[a-z0-9]{16}$/.test(rest);
  const password = bootstrap ? rest : rest.replace(/^(server|node):/, '');
  return { hash, password, bootstrap };
}

export function randomToken(): string {
  return randomBytes(16).toString('hex');
}

export function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

export function writeSecret(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, text, { mode: 0o600 });
}
