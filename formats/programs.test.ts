// Programs as a machine may have them: missing, too old, failing, out of space. Each is a script in a PATH of its own.
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exitCodeOf, renderError } from './errors.ts';
import { attempt, olderThan, run, versionIn } from './programs.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-programs-'));
const path = process.env['PATH'];
beforeEach(() => {
  process.env['PATH'] = folder;
});
afterEach(() => {
  process.env['PATH'] = path;
});
afterAll(() => rmSync(folder, { recursive: true }));

function script(name: string, text: string): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
  chmodSync(join(folder, name), 0o755);
}

async function refusal(work: () => Promise<unknown>): Promise<{ text: string; exit: number }> {
  const error: unknown = await work().then(
    () => 'nothing was refused',
    (caught: unknown) => caught,
  );
  return { text: renderError(error), exit: exitCodeOf(error) };
}

it.each([
  ['mmdebstrap 1.3.5-7', '1.3.5'],
  ['QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)', '7.2.22'],
  ['*** Zstandard CLI (64-bit) v1.5.4, by Yann Collet ***', '1.5.4'],
  ['no number', undefined],
])('finds the version in %s', (text, version) => {
  expect(versionIn(text)).toBe(version);
});

it('compares versions by their parts', () => {
  expect(olderThan('1.10', '1.9')).toBe(false);
  expect(olderThan('7.2', '7.2')).toBe(false);
  expect(olderThan('7', '7.2')).toBe(true);
  expect(olderThan('20.9.1', '20.11')).toBe(true);
  expect(olderThan('22.0.0', '20.11')).toBe(false);
});

describe('a program that', () => {
  it('is missing is named with its package', async () => {
    expect(await refusal(() => run('gpgv', ['--help']))).toEqual({
      text: 'gpgv is not installed\n  because: gpgv: signatures of Debian releases\n  to do: sudo apt-get install -y --no-install-recommends gpgv',
      exit: 4,
    });
  });

  it('is too old is refused before it does anything; a newer one is asked anew', async () => {
    script('mmdebstrap', 'test "$1" = --version && echo "mmdebstrap 0.8.6" && exit; echo worked');
    const old = {
      text: 'mmdebstrap is too old\n  because: it is 0.8.6, and 1.3 is the lowest that works\n  to do: install a newer mmdebstrap: sudo apt-get install -y --no-install-recommends mmdebstrap',
      exit: 4,
    };
    expect(await refusal(() => run('mmdebstrap', ['trixie']))).toEqual(old);
    expect(await refusal(() => attempt('mmdebstrap', ['trixie']))).toEqual(old);
    script('mmdebstrap', 'test "$1" = --version && echo "mmdebstrap 1.5.7" && exit; echo worked');
    expect((await run('mmdebstrap', ['trixie'])).stdout).toBe('worked');
  });

  it('fails is shown with what it said and a line to paste', async () => {
    script('xz', 'echo "something is wrong" >&2; exit 3');
    expect(await refusal(() => run('xz', ['-dc', 'a file']))).toEqual({
      text: "xz ended with 3\n  because: something is wrong\n  to do: run it by hand to see more: xz -dc 'a file'",
      exit: 4,
    });
    expect(await attempt('xz', ['-dc'])).toEqual({ ok: false, stdout: '', stderr: 'something is wrong' });
  });

  it('finds no space is an I/O failure', async () => {
    script(
      'zstd',
      'echo "zstd: error 70 : Write error : cannot write block : No space left on device" >&2; exit 70',
    );
    const { text, exit } = await refusal(() => run('zstd', ['-c']));
    expect([text.split('\n')[0], exit]).toEqual(['there is no space left to write to', 6]);
  });
});

it('a file that cannot take what a program says is told as a full medium', async () => {
  process.env['PATH'] = path;
  const input = Readable.from([randomBytes(1 << 20), randomBytes(1 << 20)]);
  const packed = run('zstd', ['-q', '-1', '-c'], { input, stdout: { file: '/dev/full' }, buffer: false });
  await expect(packed).rejects.toMatchObject({
    kind: 'io',
    problems: [expect.objectContaining({ what: 'there is no space left to write to' })],
  });
});
