import { createPrivateKey } from 'node:crypto';
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Failure } from '../../formats/errors.ts';
import { Keyring, privateSeed, publicPem } from './keyring.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'keys-'));
});
afterAll(() => rm(root, { recursive: true }));

describe('a keyring', () => {
  it('makes the site key once', async () => {
    const ring = new Keyring('shop', root);
    const first = await ring.siteKey();
    const second = await new Keyring('shop', root).siteKey();
    expect(first.made).toBe(true);
    expect(second.made).toBe(false);
    expect(publicPem(second.key)).toBe(publicPem(first.key));
  });

  it('keeps secrets to their owner and leaves nothing half-made', async () => {
    const ring = new Keyring('modes', root);
    await ring.siteKey();
    await ring.deviceKey('shop-01');
    expect((await stat(ring.folder)).mode & 0o777).toBe(0o700);
    expect((await stat(join(ring.folder, 'site.key'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(ring.folder, 'devices', 'shop-01.key'))).mode & 0o777).toBe(0o600);
    expect(await readdir(ring.folder)).toEqual(['devices', 'site.key']);
  });

  it('gives many who ask at once the same key', async () => {
    const keys = await Promise.all(
      Array.from({ length: 8 }, () => new Keyring('race', root).deviceKey('one')),
    );
    expect(new Set(keys.map(publicPem)).size).toBe(1);
  });

  it('refuses a key that others can read', async () => {
    const ring = new Keyring('loose', root);
    await ring.siteKey();
    await chmod(join(ring.folder, 'site.key'), 0o644);
    await expect(ring.siteKey()).rejects.toThrow('a secret key can be read by others');
  });

  it('never says what is in a broken key', async () => {
    const ring = new Keyring('broken', root);
    await ring.siteKey();
    await writeFile(join(ring.folder, 'site.key'), 'sEcReT');
    const error = await ring.siteKey().catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(Failure);
    expect(JSON.stringify(error) + String(error)).not.toContain('sEcReT');
  });

  it('gives the seed that makes the public key', async () => {
    const key = await new Keyring('seed', root).deviceKey('one');
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), privateSeed(key)]);
    expect(publicPem(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }))).toBe(publicPem(key));
  });
});
