import { expect, it } from 'vitest';
import { constantUuid } from './identity.ts';

it('is a UUID of version 8, and always the same', () => {
  expect(constantUuid('shop', 'qemu-x86_64', 'a')).toBe('98c22c3e-ee2b-89b1-be68-f545c632719f');
  expect(constantUuid('x')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

it('differs where the words do, however they are split', () => {
  const all = [
    constantUuid('a', 'b'),
    constantUuid('ab'),
    constantUuid('a', 'b', ''),
    constantUuid('b', 'a'),
  ];
  expect(new Set(all).size).toBe(4);
});
