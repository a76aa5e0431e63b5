// The program as people run it: a process of its own, with its streams, signals and exit codes.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { directory, localHeader } from './pack/zip.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-cli-'));
const root = join(import.meta.dirname, '..');
const program = join(root, `output/cli-test-${process.pid}.mjs`);

beforeAll(async () => {
  // Bundled as it is shipped, and inside of the project, where it finds its own files.
  await build({
    entryPoints: [join(root, 'builder/cli.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    logLevel: 'error',
    banner: {
      js: "import { createRequire as testRequire } from 'node:module';\nconst require = testRequire(import.meta.url);",
    },
  });
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  rmSync(program, { force: true });
});

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function start(args: readonly string[], environment: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(process.execPath, [program, ...args], {
    cwd: folder,
    env: { ...process.env, ...environment },
  });
}

function ended(child: ChildProcess): Promise<Ended> {
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}

const run = (...args: string[]) => ended(start(args));

describe('init', () => {
  it('writes a profile that is valid, and its schema beside it, once', async () => {
    expect(await run('init', 'sites')).toEqual({
      code: 0,
      out: 'sites/shop.yaml\nsites/edgekiln.schema.json\n',
      err: '',
    });
    expect((await run('validate', 'sites/shop.yaml')).out).toBe(
      'sites/shop.yaml: valid: site shop, 3 devices, 3 servers\n',
    );
    expect(readFileSync(join(folder, 'sites/edgekiln.schema.json'), 'utf8')).toBe((await run('schema')).out);
    const again = await run('init', 'sites');
    expect(again).toEqual({
      code: 2,
      out: '',
      err: 'sites/shop.yaml: is there already, and is left as it was\n  to do: name another file\n',
    });
  });

  it('takes the site name from the file, and leaves another schema alone', async () => {
    expect(JSON.parse((await run('init', '--json', 'sites/bakery.yaml')).out)).toEqual({
      version: 1,
      profile: 'sites/bakery.yaml',
      schema: 'sites/edgekiln.schema.json',
    });
    expect(readFileSync(join(folder, 'sites/bakery.yaml'), 'utf8')).toContain('\n  name: bakery\n');
    writeFileSync(join(folder, 'edgekiln.schema.json'), '{}');
    const { code, err } = await run('init');
    expect(code).toBe(2);
    expect(err).toContain('edgekiln schema > edgekiln.schema.json');
    expect(existsSync(join(folder, 'shop.yaml'))).toBe(false);
  });
});

describe('validate', () => {
  it('shows the problems of all files', async () => {
    writeFileSync(join(folder, 'a.yaml'), 'apiVersion: edgekiln/v1\n');
    writeFileSync(join(folder, 'b.yaml'), '- x\n');
    const { code, out, err } = await run('validate', 'a.yaml', 'b.yaml', 'none.yaml');
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err.match(/^\S+(?=: )/gm)).toEqual([
      'a.yaml:1:1',
      'a.yaml:1:1',
      'a.yaml:1:1',
      'b.yaml:1:1',
      'none.yaml',
    ]);
    const json = JSON.parse((await run('validate', '--json', 'a.yaml')).out);
    expect(json).toMatchObject({ version: 1, error: { kind: 'input', exit: 2, problems: { length: 3 } } });
  });

  it('accepts the profiles that edgekiln brings', async () => {
    expect(await run('validate', join(root, 'profiles/quickstart.yaml'))).toMatchObject({ code: 0, err: '' });
  });
});

describe('doctor', () => {
  it('ends with 4 and one line to paste where a program is missing', async () => {
    const child = start(['doctor', '--json'], { PATH: '/nonexistent' });
    const { code, out } = await ended(child);
    expect(code).toBe(4);
    const report = JSON.parse(out);
    expect(report).toMatchObject({ version: 1, ok: false });
    expect(report.install).toMatch(
      /^sudo apt-get install -y --no-install-recommends .*mmdebstrap.* xz-utils zstd$/,
    );
    expect(report.checks.find((check: { name: string }) => check.name === 'zstd')).toMatchObject({
      state: 'bad',
      detail: 'not installed',
      purpose: 'reading and writing .zst',
    });
  });
});

describe('completion', () => {
  /** What bash offers for a command line, with the real bash. */
  async function offered(...words: string[]): Promise<string[]> {
    const { out: script } = await run('completion', 'bash');
    const quoted = words.map((word) => `'${word}'`).join(' ');
    const lines = `${script}\nCOMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}\n_edgekiln; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const bash = spawn('bash', ['--norc', '-c', lines]);
    const { code, out, err } = await ended(bash);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    return out.split('\n').filter(Boolean);
  }

  it('offers verbs, options and choices in bash', async () => {
    expect(await offered('edgekiln', 'va')).toEqual(['validate']);
    expect(await offered('edgekiln', 'doctor', '--o')).toEqual(['--output']);
    expect(await offered('edgekiln', 'completion', '')).toEqual(['bash', 'zsh', 'fish']);
    expect(await offered('edgekiln', 'artifacts', 'f')).toEqual(['fetch']);
    expect(await offered('edgekiln', 'validate', '')).toEqual([]);
    for (const before of [['--progress'], ['--progress', '=']])
      expect(await offered('edgekiln', 'build', 'shop.yaml', ...before, 'p')).toEqual(['plain']);
    expect(await offered('edgekiln', 'build', '--progress', '=')).toEqual(['auto', 'plain', 'json']);
  });

  it('covers every verb in zsh and fish', async () => {
    const help = (await run('--help')).out;
    const verbs = [...help.matchAll(/^ {2}([a-z]+) \[/gm)].map((match) => match[1]);
    expect(verbs).toContain('init');
    for (const shell of ['zsh', 'fish']) {
      const { out } = await run('completion', shell);
      for (const verb of verbs) expect(out).toContain(verb);
    }
    expect((await run('completion', 'csh')).code).toBe(2);
  });
});

describe('the process', () => {
  it('is quiet where its reader had enough', async () => {
    const child = start(['schema']);
    child.stdout?.destroy();
    expect(await ended(child)).toMatchObject({ code: 0, err: '' });
  });

  it.each([
    ['tidies up and ends with 130 at Ctrl-C', 'exec sleep 60', 1],
    ['ends with 130 at a second Ctrl-C, whatever it waits for', "trap '' TERM; sleep 10", 2],
  ])('%s', async (_, slow, signals) => {
    // A program that does not come to an end, where doctor asks it for its version.
    const bin = mkdtempSync(join(folder, 'bin-'));
    const started = join(bin, 'started');
    writeFileSync(join(bin, 'zstd'), `#!/bin/sh\necho $$ > ${started}\n${slow}\n`, { mode: 0o755 });
    const child = start(['doctor'], { PATH: `${bin}:${process.env['PATH']}` });
    const end = ended(child);
    await vi.waitFor(() => expect(readFileSync(started, 'utf8')).toMatch(/\n/), 20_000);
    for (let count = 0; count < signals; count++) {
      child.kill('SIGINT');
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(await end).toMatchObject({ code: 130, out: '' });
  });
});

describe('--progress=json', () => {
  it.each(['--progress=json', '--progress json'])(
    'ends a failed build with a line of JSON: %s',
    async (how) => {
      const { code, out, err } = await run('build', 'nowhere.yaml', ...how.split(' '));
      const lines = err
        .trim()
        .split('\n')
        .map((line): unknown => JSON.parse(line));
      expect([code, out]).toEqual([2, '']);
      expect(lines.at(-1)).toMatchObject({
        version: 1,
        event: 'failed',
        error: { kind: 'input', exit: 2, problems: [{ what: 'no such file', where: 'nowhere.yaml' }] },
      });
    },
  );
});

it('a disk that is full in the middle of the last write of unpacking is noticed', async () => {
  const file = join(folder, 'full.img.zip');
  const plain = randomBytes(1024 ** 2);
  const packed = deflateRawSync(plain);
  const sizes = { size: plain.length, compressedSize: packed.length };
  const entry = { name: 'full.img', ...sizes, crc: 0, deflated: true, at: 0 };
  const header = localHeader(entry, 1e9);
  const end = directory([entry], header.length + packed.length, 1e9);
  writeFileSync(file, Buffer.concat([header, packed, end]));
  // As a full disk does, the bound of files cuts a write short and refuses the next one.
  const bounded = 'ulimit -f 500; exec "$@"';
  const child = spawn('sh', ['-c', bounded, 'sh', process.execPath, program, 'inspect', file]);
  const { code, err } = await ended(child);
  expect(err).toContain('EFBIG');
  expect(code).not.toBe(0);
});
