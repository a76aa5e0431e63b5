// Which keys hold secrets: their values are never shown.
import type { KeyPath } from './source.ts';

const secretKey = /^(password|passwordHash|token|agent-token)$/;

/** Whether the value at a path is a secret. */
export function isSecret(path: KeyPath): boolean {
  const key = path.at(-1);
  return typeof key === 'string' && secretKey.test(key);
}
