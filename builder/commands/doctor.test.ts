import { expect, it } from 'vitest';
import { checkNode, namespaceObstacle } from './doctor.ts';

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
