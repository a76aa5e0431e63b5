import { expect, it } from 'vitest';
import { checkNode, namespaceObstacle, olderThan, versionIn } from './doctor.ts';

it.each([
  ['mmdebstrap 1.3.5-7', '1.3.5'],
  ['QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)', '7.2.22'],
  ['*** Zstandard CLI (64-bit) v1.5.4, by Yann Collet ***', '1.5.4'],
  ['no number', undefined],
])('finds the version in %s', (text, version) => {
  expect(versionIn(text)).toBe(version);
});

it('compares versions by their parts', () => {
  expect(olderThan('1.10', '1.9')).toBe(false);
  expect(olderThan('7.2', '7.2')).toBe(false);
  expect(olderThan('7', '7.2')).toBe(true);
  expect(olderThan('20.9.1', '20.11')).toBe(true);
  expect(olderThan('22.0.0', '20.11')).toBe(false);
});

it('refuses a Node that is too old', () => {
  expect(checkNode('20.11.0')).toMatchObject({ state: 'ok' });
  expect(checkNode('18.20.4')).toMatchObject({
    state: 'bad',
    detail: '18.20.4, but 20.11 is the lowest that works',
  });
});

it('finds what keeps a user from user namespaces', () => {
  const fine = {
    most: 1000,
    allowed: 1,
    apparmor: 0,
    ranges: 'anna:100000:65536\n',
    uid: 1000,
    username: 'anna',
  };
  expect(namespaceObstacle(fine)).toBeUndefined();
  expect(namespaceObstacle({ ...fine, allowed: undefined, apparmor: undefined })).toBeUndefined();
  expect(namespaceObstacle({ ...fine, ranges: '1000:100000:65536\n' })).toBeUndefined();
  expect(namespaceObstacle({ ...fine, most: undefined })).toBe('the kernel has none');
  expect(namespaceObstacle({ ...fine, most: 0 })).toContain('user.max_user_namespaces');
  expect(namespaceObstacle({ ...fine, allowed: 0 })).toContain('kernel.unprivileged_userns_clone');
  expect(namespaceObstacle({ ...fine, apparmor: 1 })).toContain('apparmor_restrict_unprivileged_userns');
  expect(namespaceObstacle({ ...fine, username: 'ann', uid: 7 })).toContain('/etc/subuid');
});
