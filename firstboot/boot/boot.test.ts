import { generateKeyPairSync } from 'node:crypto';
import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { defaultPersist } from '../../formats/persist.ts';
import { sealStamp } from '../../formats/stamp.ts';
import { bootRecord, makeDevice, siteKeys, stamp } from '../device.fixture.ts';
import { hostsWith, isHostName } from './host.ts';
import { identify } from './identity.ts';
import { pathsUnder } from './paths.ts';
import { parseBootRecord } from './record.ts';
import { writeBack } from './writeback.ts';

const record = parseBootRecord(JSON.stringify(bootRecord));
const siteKey = siteKeys.publicKey.export({ type: 'spki', format: 'pem' }).toString();
const region = sealStamp(stamp, siteKeys.privateKey);

test('the record of the initrd: slot in either case, seq as text or number', () => {
  expect(record).toEqual({ ...bootRecord, slot: 'a' });
  const text =
    '{"flash":"f","slot":"b","seq":"4","disk":"/dev/mmcblk0","data":{"state":"full","detail":"x"},"problems":["p"]}';
  expect(parseBootRecord(text)).toMatchObject({
    slot: 'b',
    seq: 4,
    data: { state: 'full' },
    problems: ['p'],
  });
});

test('a record that is not there or broken is no reason to fall over', () => {
  const nothing = {
    flash: undefined,
    slot: undefined,
    seq: undefined,
    disk: undefined,
    data: { state: 'missing', detail: '' },
    problems: ['the record of the boot cannot be read'],
  };
  for (const text of ['', '[]', '{"flash":', 'null']) expect(parseBootRecord(text)).toEqual(nothing);
  const empty = '{"flash":"","slot":"","seq":"","disk":"","data":{"state":"","detail":""},"problems":[]}';
  expect(parseBootRecord(empty)).toEqual({ ...nothing, problems: [] });
  fc.assert(fc.property(fc.json(), (text) => void parseBootRecord(text)));
});

test('a device is who its stamp says, when the site signed it', () => {
  expect(identify(region, siteKey, 'quickstart', record)).toEqual({ known: true, stamp });
});

const otherSite = generateKeyPairSync('ed25519');
const bent = Uint8Array.from(region);
bent[1100] = (bent[1100] ?? 0) ^ 1;

test.each([
  ['no stamp', undefined, siteKey, 'quickstart', record, 'the initrd left no stamp'],
  [
    'no key',
    region,
    undefined,
    'quickstart',
    record,
    "the image holds no site key to check the stamp's with",
  ],
  [
    'a key that is none',
    region,
    'nonsense',
    'quickstart',
    record,
    'the site key of the image cannot be read',
  ],
  ['an empty region', new Uint8Array(65536), siteKey, 'quickstart', record, 'there is no stamp here'],
  ['a changed bit', bent, siteKey, 'quickstart', record, /^the stamp cannot be trusted: its signature/],
  ["another site's key", sealStamp(stamp, otherSite.privateKey), siteKey, 'quickstart', record, /signature/],
  [
    'another site',
    region,
    siteKey,
    'harbour',
    record,
    'the stamp is of site quickstart, the image of harbour',
  ],
  [
    'another flash',
    region,
    siteKey,
    'quickstart',
    { ...record, flash: 'another' },
    'the stamp is not the one this boot was started with',
  ],
  [
    'no host name',
    sealStamp({ ...stamp, hostname: 'a b' }, siteKeys.privateKey),
    siteKey,
    'quickstart',
    record,
    'the name in the stamp is not a host name',
  ],
])('%s: the device is nobody and says why', (_, bytes, key, site, boot, why) => {
  const expected: unknown = typeof why === 'string' ? why : expect.stringMatching(why);
  expect(identify(bytes, key, site, boot)).toEqual({ known: false, why: expected });
});

test('host names are one label', () => {
  for (const good of ['a', 'shop-01', '0', 'a'.repeat(63)]) expect(isHostName(good)).toBe(true);
  for (const bad of ['', '-a', 'a-', 'A', 'a.b', 'a b', 'a\n', 'a'.repeat(64)])
    expect(isHostName(bad)).toBe(false);
});

test('/etc/hosts keeps what it has and names the device once', () => {
  expect(hostsWith('', 'a')).toBe('127.0.0.1 localhost\n127.0.1.1 a\n');
  const hosts = '127.0.0.1 localhost\n127.0.1.1 old\n10.0.0.1 till\n';
  expect(hostsWith(hosts, 'a')).toBe('127.0.0.1 localhost\n10.0.0.1 till\n127.0.1.1 a\n');
  expect(hostsWith(hostsWith(hosts, 'a'), 'a')).toBe(hostsWith(hosts, 'a'));
});

test('copied files are saved with their modes, once, and never unlearned', async () => {
  const root = await makeDevice({ '/etc/ssh/ssh_host_ed25519_key': 'private', '/home/me/file': 'mine' });
  onTestFinished(() => rm(root, { recursive: true }));
  const paths = pathsUnder(root);
  const key = join(paths.data, 'persist/etc/ssh/ssh_host_ed25519_key');
  expect(await writeBack(defaultPersist, paths)).toEqual([
    '/etc/machine-id',
    '/etc/ssh/ssh_host_ed25519_key',
  ]);
  expect((await stat(key)).mode & 0o7777).toBe(0o600);
  expect(await writeBack(defaultPersist, paths)).toEqual([]);
  await expect(stat(join(paths.data, 'persist/home'))).rejects.toThrow('ENOENT');

  await writeFile(join(root, 'etc/ssh/ssh_host_ed25519_key'), 'another');
  await rm(join(root, 'etc/machine-id'));
  expect(await writeBack(defaultPersist, paths)).toEqual(['/etc/ssh/ssh_host_ed25519_key']);
  expect(await readFile(key, 'utf8')).toBe('another');
  expect((await readFile(join(paths.data, 'persist/etc/machine-id'))).length).toBeGreaterThan(0);

  // What a power cut left beside is no obstacle.
  await writeFile(`${key}.new`, 'half');
  await chmod(`${key}.new`, 0o400);
  await writeFile(join(root, 'etc/ssh/ssh_host_ed25519_key'), 'third');
  await writeBack(defaultPersist, paths);
  expect(await readFile(key, 'utf8')).toBe('third');
});
