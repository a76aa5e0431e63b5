import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { issue, makeAuthority } from './certificate.ts';

const folder = mkdtempSync(join(tmpdir(), 'standin-certificate-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('makes certificates that OpenSSL verifies', () => {
  const authority = makeAuthority('test-ca', Date.now());
  const leaf = issue(
    authority,
    { commonName: 'system:node:n1', organizations: ['system:nodes'] },
    'both',
    ['198.18.0.1', 'fe80::1', 'n1'],
    Date.now(),
  );
  writeFileSync(join(folder, 'ca.crt'), authority.certificate);
  writeFileSync(join(folder, 'leaf.crt'), leaf.certificate);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, encoding: 'utf8' });
  expect(openssl('verify', '-CAfile', 'ca.crt', '-purpose', 'sslserver', 'leaf.crt')).toBe('leaf.crt: OK\n');
  const text = openssl('x509', '-in', 'leaf.crt', '-noout', '-subject', '-ext', 'subjectAltName');
  expect(text).toContain('O = system:nodes, CN = system:node:n1');
  expect(text).toMatch(/IP Address:198\.18\.0\.1, IP Address:FE80:0:0:0:0:0:0:1, DNS:n1/);
});
