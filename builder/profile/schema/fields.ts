// The kinds of values a profile is made of. A message says what is expected; who shows it adds where and a hint.
import { z } from 'zod';
import { parseAddress, parseNetwork, printNetwork } from '../network.ts';
import { parseSize } from '../size.ts';

/** Text of a given form; `expected` completes the sentence "expected …". */
export function text(pattern: RegExp, expected: string): z.ZodString {
  // What has another form is not looked at further.
  return z.string().regex(pattern, { error: expected, abort: true });
}

/** One DNS label (RFC 1123), the form of every name that becomes a host, node or object name. */
export function label(what: string): z.ZodString {
  return text(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    `${what}: lowercase letters, digits and hyphens, at most 63, a letter or digit at both ends`,
  );
}

export function sha256(): z.ZodString {
  return text(/^[0-9a-f]{64}$/, 'a sha256 digest: 64 hexadecimal digits in lowercase');
}

/** A path on the build machine, relative to the profile. */
export function path(what: string): z.ZodString {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  return text(/^[^\u0000-\u001f]+$/, `the path of ${what}, relative to the profile`);
}

export function url(what: string): z.ZodString {
  return text(
    /^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/,
    `${what}: an http:// or https:// address without a password`,
  );
}

/** A size in binary units. */
export function size(lowest: number, lowestText: string): z.ZodString {
  const expected = `a size such as 512MiB or 4GiB, at least ${lowestText}`;
  return text(/^[1-9][0-9]*(KiB|MiB|GiB)$/, expected).refine(
    (value) => (parseSize(value) ?? 0) >= lowest,
    expected,
  );
}

/** An IPv4 network; `within` and `prefix` bound it. */
export function network(bounds: {
  within?: string;
  longest: number;
  shortest: number;
  example: string;
}): z.ZodString {
  const place = bounds.within === undefined ? '' : ` within ${bounds.within}`;
  const prefixes =
    bounds.shortest === bounds.longest ? `/${bounds.longest}` : `/${bounds.shortest} to /${bounds.longest}`;
  const expected = `an IPv4 network${place}, ${prefixes}, such as ${bounds.example}`;
  return text(/^\d+\.\d+\.\d+\.\d+\/\d+$/, expected).superRefine((value, context) => {
    const range = parseNetwork(value);
    const outer = bounds.within === undefined ? undefined : parseNetwork(bounds.within);
    const refuse = (message: string, fix?: string) =>
      context.addIssue({ code: 'custom', message, ...(fix === undefined ? {} : { params: { fix } }) });
    if (range === undefined) return refuse(expected);
    if (range.hostBits)
      return refuse('a network, with no bit set behind its prefix', `write ${printNetwork(range)}`);
    if (range.prefix < bounds.shortest || range.prefix > bounds.longest) return refuse(expected);
    if (outer !== undefined && (range.first < outer.first || range.last > outer.last))
      return refuse(expected);
  });
}

export function address(what: string): z.ZodString {
  return z
    .string()
    .refine((value) => parseAddress(value) !== undefined, `${what}: an IPv4 address such as 192.168.7.1`);
}

export function octal(): z.ZodString {
  return text(/^[0-7]{4}$/, "permissions: four octal digits in quotes, such as '0644'");
}

export function owner(): z.ZodString {
  return text(/^\d{1,9}:\d{1,9}$/, "an owner: UID:GID in numbers, such as '0:0'");
}
