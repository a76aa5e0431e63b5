// The secrets of a site: its signing key and one key a device. They are made at the first build and kept apart from
// the profile, the store and the output: who loses them must flash every device anew, who leaks them leaks the site.
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { Failure } from '../../formats/errors.ts';

/** Where keys are: `$EDGEKILN_KEYS`, else `$XDG_DATA_HOME/edgekiln/keys`, else `~/.local/share/edgekiln/keys`. */
export function keysFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const { EDGEKILN_KEYS: own, XDG_DATA_HOME: data } = environment;
  if (own) return own;
  return join(data || join(homedir(), '.local', 'share'), 'edgekiln', 'keys');
}

/** The keys of one site. All are Ed25519, PEM (PKCS #8), mode 0600, in a folder of mode 0700. */
export class Keyring {
  readonly folder: string;

  constructor(site: string, root: string = keysFolder()) {
    this.folder = join(root, site);
  }

  /** The key that signs stamps; `made` says whether this call made it. */
  async siteKey(): Promise<{ key: KeyObject; made: boolean }> {
    return keyAt(join(this.folder, 'site.key'));
  }

  /** The key of a device: who holds it is that device. */
  async deviceKey(device: string): Promise<KeyObject> {
    return (await keyAt(join(this.folder, 'devices', `${device}.key`))).key;
  }
}

/** The public half, PEM (SPKI). */
export function publicPem(key: KeyObject): string {
  return createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
}

/** The 32 bytes of an Ed25519 private key. */
export function privateSeed(key: KeyObject): Buffer {
  const { d } = key.export({ format: 'jwk' });
  if (d === undefined) throw new Error('not a private Ed25519 key');
  return Buffer.from(d, 'base64url');
}

async function keyAt(path: string): Promise<{ key: KeyObject; made: boolean }> {
  try {
    return { key: await readKey(path), made: false };
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  const made = await makeKey(path);
  return { key: await readKey(path), made };
}

async function readKey(path: string): Promise<KeyObject> {
  const state = await stat(path);
  if ((state.mode & 0o077) !== 0) {
    throw new Failure('input', {
      what: 'a secret key can be read by others',
      where: path,
      fix: `chmod go= ${path}; if others could have read it, make a new one and flash every device again`,
    });
  }
  const pem = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Failure('io', {
      what: 'a secret key cannot be read',
      where: path,
      why: error.code ?? 'unknown',
      fix: 'build as who made the keys, or name the right folder: EDGEKILN_KEYS=DIR',
    });
  });
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // The cause could show parts of the key: it is not passed on.
  }
  throw new Failure('input', {
    what: 'this is not an Ed25519 private key',
    where: path,
    fix: 'restore it from a backup',
  });
}

/** Makes a key unless another process does so first; never overwrites. True if this call's key is the one. */
async function makeKey(path: string): Promise<boolean> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const { privateKey } = generateKeyPairSync('ed25519');
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(privateKey.export({ type: 'pkcs8', format: 'pem' }));
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, path);
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    if (code === 'EEXIST') return false;
    throw new Failure('io', {
      what: 'a secret key cannot be kept',
      where: path,
      why: code,
      fix: 'set EDGEKILN_KEYS to a folder of yours',
    });
  } finally {
    await rm(temporary, { force: true });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
