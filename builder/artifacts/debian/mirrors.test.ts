import { describe, expect, test } from 'vitest';
import { mirrorsBeside, mirrorsOf } from './mirrors.ts';

test('the security archive is beside the archive', () => {
  expect(mirrorsBeside('http://mirror.example/debian/')).toEqual({
    debian: 'http://mirror.example/debian',
    'debian-security': 'http://mirror.example/debian-security',
  });
});

describe('the mirrors of a Debian machine', () => {
  test('from a .sources file', () => {
    const sources = `Types: deb
# URIs: http://old.example/debian
URIs: http://a.example/debian
Suites: trixie

Types: deb
URIs: https://b.example/debian-security/
Suites: trixie-security
`;
    expect(mirrorsOf([sources])).toEqual({
      debian: 'http://a.example/debian',
      'debian-security': 'https://b.example/debian-security',
    });
  });

  test('from a .list file, with options; other repositories are passed over', () => {
    const list = `deb [arch=amd64 signed-by=/x.gpg] https://tools.example/apt stable main
#deb http://old.example/debian trixie main
deb-src http://src.example/debian trixie main
deb cdrom:[Debian]/ trixie main
deb http://a.example/debian trixie main`;
    expect(mirrorsOf([list])).toEqual({
      debian: 'http://a.example/debian',
      'debian-security': 'http://a.example/debian-security',
    });
  });

  test('there are none on another system', () => {
    expect(mirrorsOf(['deb http://archive.example/ubuntu noble main', ''])).toBeUndefined();
  });
});
