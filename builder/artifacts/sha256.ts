// Names of artifacts: everything that comes from outside is known by the SHA-256 of its bytes.
import { z } from 'zod';

declare const brand: unique symbol;

/** SHA-256 as 64 lower-case hexadecimal digits. */
export type Sha256 = string & { readonly [brand]: 'sha256' };

const pattern = /^[0-9a-f]{64}$/;

/** Whether `text` has the form of a SHA-256; upper case is not taken. */
export function isSha256(text: string): text is Sha256 {
  return pattern.test(text);
}

export const sha256Schema = z
  .string()
  .refine(isSha256, { message: 'expected 64 lower-case hexadecimal digits' });

/** Bytes that are known before they are had. */
export interface Pin {
  readonly sha256: Sha256;
  /** Bytes. */
  readonly size: number;
}
