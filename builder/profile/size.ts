// Sizes as people write them.
const units = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** Bytes of `512MiB`; undefined where it is not a size or is beyond exact numbers. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+)(KiB|MiB|GiB)$/.exec(text);
  const unit = match?.[2];
  if (unit !== 'KiB' && unit !== 'MiB' && unit !== 'GiB') return undefined;
  const bytes = Number(match?.[1]) * units[unit];
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
