import { join } from 'node:path';
import { expect, it } from 'vitest';
import { profileReference } from './reference.ts';

it('docs/profile.md is what the schema says', async () => {
  await expect(profileReference()).toMatchFileSnapshot(join(import.meta.dirname, '../../docs/profile.md'));
});
