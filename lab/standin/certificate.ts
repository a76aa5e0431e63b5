// X.509 certificates for the stand-in: made as k3s makes them (ECDSA P-256), signed by whatever CA key is on disk.
// RFC 5280; only what TLS between the stand-in's own processes, Node, OpenSSL and Go needs.
import {
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';

/** A certificate, with its chain if it has one, and its key; both PEM. */
export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

export interface Subject {
  readonly commonName: string;
  readonly organizations?: readonly string[];
}

/** Milliseconds since 1970. */
export interface Validity {
  readonly from: number;
  readonly until: number;
}

const year = 365 * 24 * 3600_000;

/** A self-signed CA for ten years. */
export function makeAuthority(commonName: string, now: number): Pair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = nameOf({ commonName });
  const extensions = [
    extension('2.5.29.15', true, bitString(Buffer.from([0xa4]), 2)), // digitalSignature, keyEncipherment, keyCertSign
    extension('2.5.29.19', true, sequence(tlv(0x01, Buffer.from([0xff])))),
  ];
  const validity = { from: now - 3600_000, until: now + 10 * year };
  const certificate = certificateOf(name, name, publicKey, validity, extensions, privateKey);
  return { certificate, key: privateKey.export({ type: 'sec1', format: 'pem' }).toString() };
}

/**
 * A certificate for a client or a server, signed by the CA. Valid from one hour before now, but not before its CA, as
 * k3s's are.
 */
export function issue(
  authority: Pair,
  subject: Subject,
  use: 'client' | 'server' | 'both',
  alternatives: readonly string[],
  now: number,
): Pair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = new X509Certificate(authority.certificate);
  const purposes = [
    ...(use === 'client' ? [] : [oid('1.3.6.1.5.5.7.3.1')]),
    ...(use === 'server' ? [] : [oid('1.3.6.1.5.5.7.3.2')]),
  ];
  const extensions = [
    extension('2.5.29.15', true, bitString(Buffer.from([0xa0]), 5)),
    extension('2.5.29.37', false, sequence(...purposes)),
    ...(alternatives.length === 0
      ? []
      : [extension('2.5.29.17', false, sequence(...alternatives.map(generalName)))]),
  ];
  const validity = {
    from: Math.max(now - 3600_000, Date.parse(issuer.validFrom)),
    until: now + year,
  };
  const key = createPrivateKey(authority.key);
  const issuerName = subjectOf(issuer.raw);
  const certificate = certificateOf(nameOf(subject), issuerName, publicKey, validity, extensions, key);
  return { certificate, key: privateKey.export({ type: 'sec1', format: 'pem' }).toString() };
}

/** The DER of every certificate in a PEM file. */
export function certificatesIn(pem: string): readonly Buffer[] {
  const blocks = pem.matchAll(/-----BEGIN CERTIFICATE-----([\s\S]*?)-----END CERTIFICATE-----/g);
  return [...blocks].map(([, base64 = '']) => Buffer.from(base64, 'base64'));
}

function certificateOf(
  subject: Buffer,
  issuer: Buffer,
  publicKey: KeyObject,
  validity: Validity,
  extensions: readonly Buffer[],
  key: KeyObject,
): string {
  const algorithm = algorithmOf(key);
  const serial = Buffer.concat([Buffer.from([0x40]), randomBytes(15)]);
  const body = sequence(
    tlv(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    algorithm.identifier,
    issuer,
    sequence(time(validity.from), time(validity.until)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions)),
  );
  const signature = sign(algorithm.digest, body, key);
  const der = sequence(body, algorithm.identifier, bitString(signature, 0));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function algorithmOf(key: KeyObject): { digest: string | null; identifier: Buffer } {
  if (key.asymmetricKeyType === 'ec') {
    return { digest: 'sha256', identifier: sequence(oid('1.2.840.10045.4.3.2')) };
  }
  if (key.asymmetricKeyType === 'ed25519') return { digest: null, identifier: sequence(oid('1.3.101.112')) };
  return { digest: 'sha256', identifier: sequence(oid('1.2.840.113549.1.1.11'), tlv(0x05)) };
}

function nameOf({ commonName, organizations = [] }: Subject): Buffer {
  const part = (type: string, value: string) =>
    tlv(0x31, sequence(oid(type), tlv(0x0c, Buffer.from(value, 'utf8'))));
  return sequence(...organizations.map((name) => part('2.5.4.10', name)), part('2.5.4.3', commonName));
}

function generalName(name: string): Buffer {
  if (isIPv4(name)) return tlv(0x87, Buffer.from(name.split('.').map(Number)));
  if (isIPv6(name)) return tlv(0x87, bytesOfIPv6(name));
  return tlv(0x82, Buffer.from(name, 'ascii'));
}

function bytesOfIPv6(address: string): Buffer {
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const words = (text: string) =>
    text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16));
  const first = words(head);
  const last = tail === undefined ? [] : words(tail);
  const all = [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}

/** The subject's bytes, as an issued certificate must repeat them. */
function subjectOf(certificate: Buffer): Buffer {
  const body = childrenOf(childrenOf(certificate)[0] ?? Buffer.alloc(0));
  const subject = body[body[0]?.[0] === 0xa0 ? 5 : 4];
  if (subject === undefined) throw new Error('a CA certificate without a subject');
  return subject;
}

function childrenOf(der: Buffer): readonly Buffer[] {
  const end = headerOf(der, 0).end;
  const children: Buffer[] = [];
  for (let at = headerOf(der, 0).start; at < end; at = headerOf(der, at).end) {
    children.push(der.subarray(at, headerOf(der, at).end));
  }
  return children;
}

function headerOf(der: Buffer, at: number): { start: number; end: number } {
  const first = der[at + 1] ?? 0;
  if (first < 0x80) return { start: at + 2, end: at + 2 + first };
  const size = first & 0x7f;
  const start = at + 2 + size;
  return { start, end: start + der.readUIntBE(at + 2, size) };
}

function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const value = Buffer.concat(parts);
  const { length } = value;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), value]);
  const size = length < 0x100 ? 1 : length < 0x10000 ? 2 : 3;
  const header = Buffer.alloc(2 + size);
  header[0] = tag;
  header[1] = 0x80 | size;
  header.writeUIntBE(length, 2, size);
  return Buffer.concat([header, value]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, ...parts);
}

function integer(bytes: Buffer): Buffer {
  return tlv(0x02, bytes);
}

function bitString(bytes: Buffer, unused: number): Buffer {
  return tlv(0x03, Buffer.from([unused]), bytes);
}

function extension(type: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(type), ...(critical ? [tlv(0x01, Buffer.from([0xff]))] : []), tlv(0x04, value));
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift(0x80 | (left & 0x7f));
    bytes.push(...groups);
  }
  return tlv(0x06, Buffer.from(bytes));
}

/** UTCTime until 2049, GeneralizedTime after. */
function time(at: number): Buffer {
  const text = new Date(at).toISOString().replace(/[-:T]/g, '').slice(0, 14);
  const year4 = Number(text.slice(0, 4));
  const utc = year4 >= 1950 && year4 < 2050;
  return tlv(utc ? 0x17 : 0x18, Buffer.from(`${utc ? text.slice(2) : text}Z`, 'ascii'));
}
