// IPv4 networks as ranges of addresses.

export interface Network {
  /** First and last address, as unsigned 32-bit numbers. */
  readonly first: number;
  readonly last: number;
  readonly prefix: number;
  /** Whether the text had bits set behind the prefix. */
  readonly hostBits: boolean;
}

/** Reads `a.b.c.d/n`; undefined where it is none. */
export function parseNetwork(text: string): Network | undefined {
  const match = /^([\d.]+)\/(\d{1,2})$/.exec(text);
  const address = parseAddress(match?.[1] ?? '');
  const prefix = Number(match?.[2]);
  if (address === undefined || !(prefix <= 32)) return undefined;
  const count = 2 ** (32 - prefix);
  const first = address - (address % count);
  return { first, last: first + count - 1, prefix, hostBits: first !== address };
}

/** Reads `a.b.c.d` as an unsigned 32-bit number; undefined where it is none. */
export function parseAddress(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) {
    return undefined;
  }
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function printNetwork(network: Network): string {
  const bytes = [24, 16, 8, 0].map((shift) => (network.first >>> shift) & 255);
  return `${bytes.join('.')}/${network.prefix}`;
}

export function overlap(a: Network, b: Network): boolean {
  return a.first <= b.last && b.first <= a.last;
}
