// Who is at the other end of a TLS connection: the key of its certificate, and nothing else of it.
import { constants, type KeyObject } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { deviceCertificate } from './certificate.ts';

/** Port of the join channel. */
export const channelPort = 5748;

/**
 * Settings of both ends: TLS 1.3, own certificate. OpenSSL checks that the other end holds the key of its certificate;
 * whether that key is the right one is checked by `keyOfPeer` before the first byte. Tickets are off, for a resumed
 * session shows no certificate.
 */
export function tlsSettings(deviceKey: KeyObject) {
  return {
    key: deviceKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: deviceCertificate(deviceKey),
    minVersion: 'TLSv1.3',
    rejectUnauthorized: false,
    secureOptions: constants.SSL_OP_NO_TICKET,
  } as const;
}

/** The raw Ed25519 key the other end proved to hold, hexadecimal; undefined where it must not be believed. */
export function keyOfPeer(socket: TLSSocket): string | undefined {
  if (socket.isSessionReused() || socket.getProtocol() !== 'TLSv1.3') return undefined;
  const key = socket.getPeerX509Certificate()?.publicKey;
  if (key?.asymmetricKeyType !== 'ed25519') return undefined;
  const { x } = key.export({ format: 'jwk' });
  return x === undefined ? undefined : Buffer.from(x, 'base64url').toString('hex');
}
