import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { authorityCertificate, deviceCertificate } from './certificate.ts';

function openssl(...args: string[]): string {
  const { stdout, stderr, status } = spawnSync('openssl', args, { encoding: 'utf8' });
  expect(stderr + (status === 0 ? '' : stdout)).not.toMatch(/error|unable/i);
  return stdout;
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'edgekiln-certificate-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

test('openssl reads and verifies the certificate of a device', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const text = deviceCertificate(privateKey);
  expect(new X509Certificate(text).publicKey.equals(publicKey)).toBe(true);
  expect(new X509Certificate(text).verify(publicKey)).toBe(true);
  const file = join(folder(), 'device.pem');
  writeFileSync(file, text);
  expect(openssl('verify', '-check_ss_sig', '-CAfile', file, file)).toBe(`${file}: OK\n`);
  const said = openssl('x509', '-in', file, '-noout', '-text');
  expect(said).toMatch(/Version: 3 \(0x2\)[\s\S]*Signature Algorithm: ED25519[\s\S]*CN = edgekiln device/);
  expect(said).toMatch(/Not Before: Jan {2}1 00:00:00 2000 GMT\s+Not After : Jan {2}1 00:00:00 2120 GMT/);
  expect(deviceCertificate(privateKey)).toBe(text);
});

test('an authority signs certificates that openssl accepts, and another one with the same name does not', () => {
  const dir = folder();
  const at = (name: string): string => join(dir, name);
  for (const name of ['right', 'wrong']) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(at(`${name}.key`), privateKey.export({ type: 'sec1', format: 'pem' }));
    writeFileSync(at(`${name}.crt`), authorityCertificate(privateKey, 'k3s-server-ca@0badc0de'));
  }
  const said = openssl('x509', '-in', at('right.crt'), '-noout', '-text');
  expect(said).toMatch(/Key Usage: critical\s+Digital Signature, Key Encipherment, Certificate Sign\n/);
  expect(said).toMatch(/Basic Constraints: critical\s+CA:TRUE\n/);
  openssl(
    'req',
    '-new',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=leaf',
    '-keyout',
    at('leaf.key'),
    '-out',
    at('leaf.csr'),
  );
  openssl(
    'x509',
    '-req',
    '-in',
    at('leaf.csr'),
    '-CA',
    at('right.crt'),
    '-CAkey',
    at('right.key'),
    '-CAcreateserial',
    '-out',
    at('leaf.crt'),
  );
  expect(openssl('verify', '-x509_strict', '-CAfile', at('right.crt'), at('leaf.crt'))).toContain('OK');
  const refused = spawnSync('openssl', ['verify', '-CAfile', at('wrong.crt'), at('leaf.crt')]);
  expect(refused.status).not.toBe(0);
});
