// Self-signed X.509 certificates (RFC 5280), as DER: Node reads certificates but cannot make them. Two kinds are needed:
// that of a device on the join channel (Ed25519, compared by its key alone), and the certificate authorities a founder
// makes for its cluster (ECDSA P-256). Boards have no clock they can trust: all are valid from 2000 to 2120.
import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';

const oid = {
  commonName: Buffer.from('550403', 'hex'), // 2.5.4.3
  ed25519: Buffer.from('2b6570', 'hex'), // 1.3.101.112
  ecdsaWithSha256: Buffer.from('2a8648ce3d040302', 'hex'), // 1.2.840.10045.4.3.2
  subjectKeyIdentifier: Buffer.from('551d0e', 'hex'), // 2.5.29.14
  keyUsage: Buffer.from('551d0f', 'hex'), // 2.5.29.15
  basicConstraints: Buffer.from('551d13', 'hex'), // 2.5.29.19
} as const;

const tag = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  version: 0xa0,
  extensions: 0xa3,
} as const;

/** digitalSignature, keyEncipherment, keyCertSign: bits 0, 2 and 5; two unused bits at the end. */
const authorityUsage = Buffer.from([2, 0b1010_0100]);

/** The certificate of a device on the join channel, PEM. `privateKey` is Ed25519; nothing but the key is believed. */
export function deviceCertificate(privateKey: KeyObject): string {
  return pem(selfSigned(privateKey, 'edgekiln device', []));
}

/** A certificate authority of a cluster, PEM. `privateKey` is ECDSA P-256; the name must differ from the others'. */
export function authorityCertificate(privateKey: KeyObject, name: string): string {
  const keyId = createHash('sha1').update(publicKeyInfo(privateKey)).digest();
  return pem(
    selfSigned(privateKey, name, [
      extension(oid.keyUsage, true, der(tag.bits, authorityUsage)),
      extension(oid.basicConstraints, true, sequence(der(tag.boolean, Buffer.from([0xff])))),
      extension(oid.subjectKeyIdentifier, false, der(tag.octets, keyId)),
    ]),
  );
}

function selfSigned(privateKey: KeyObject, name: string, extensions: readonly Buffer[]): Buffer {
  const edwards = privateKey.asymmetricKeyType === 'ed25519';
  const algorithm = sequence(der(tag.oid, edwards ? oid.ed25519 : oid.ecdsaWithSha256));
  const key = publicKeyInfo(privateKey);
  const attribute = sequence(der(tag.oid, oid.commonName), der(tag.utf8, Buffer.from(name)));
  const subject = sequence(der(tag.set, attribute));
  const signed = sequence(
    der(tag.version, der(tag.integer, Buffer.from([2]))), // v3
    der(tag.integer, serialOf(key)),
    algorithm,
    subject, // issuer
    sequence(
      der(tag.utcTime, Buffer.from('000101000000Z')),
      der(tag.generalizedTime, Buffer.from('21200101000000Z')),
    ),
    subject,
    key,
    ...(extensions.length > 0 ? [der(tag.extensions, sequence(...extensions))] : []),
  );
  const signature = sign(edwards ? null : 'sha256', signed, privateKey);
  return sequence(signed, algorithm, der(tag.bits, Buffer.concat([Buffer.from([0]), signature])));
}

/** A positive number made of the key: the same key gives the same serial. */
function serialOf(key: Buffer): Buffer {
  const serial = createHash('sha256').update(key).digest().subarray(0, 16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

/** SubjectPublicKeyInfo, DER. */
function publicKeyInfo(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
}

function extension(id: Buffer, critical: boolean, value: Buffer): Buffer {
  const mark = critical ? [der(tag.boolean, Buffer.from([0xff]))] : [];
  return sequence(der(tag.oid, id), ...mark, der(tag.octets, value));
}

const sequence = (...parts: readonly Buffer[]): Buffer => der(tag.sequence, Buffer.concat(parts));

/** One element: tag, length in its shortest form, content. */
function der(kind: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([kind, length]), content]);
  const digits = length < 0x100 ? [length] : [length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([kind, 0x80 | digits.length, ...digits]), content]);
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
