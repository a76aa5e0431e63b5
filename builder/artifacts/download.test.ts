import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '../../formats/errors.ts';
import { type DownloadOptions, download, type Patience, type Wanted } from './download.ts';
import { type Behaviour, type Mirror, serve, startMirror } from './mirror.fixture.ts';
import { isSha256, type Sha256 } from './sha256.ts';
import { Store } from './store.ts';

const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7919) >> 3));
const half = 150_000;
const quick: Patience = { connect: 2000, idle: 1000, attempts: 3, pause: 5 };

let folder: string;
let store: Store;
const mirrors: Mirror[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
  store = new Store(join(folder, 'store'));
});
afterEach(async () => {
  for (const mirror of mirrors.splice(0)) await mirror.stop();
  rmSync(folder, { recursive: true, force: true });
});

function digest(bytes: Uint8Array): Sha256 {
  const hex = createHash('sha256').update(bytes).digest('hex');
  if (!isSha256(hex)) throw new Error('not a digest');
  return hex;
}

async function mirror(behave: Behaviour): Promise<Mirror> {
  const started = await startMirror(behave);
  mirrors.push(started);
  return started;
}

function wanted(...from: readonly Mirror[]): Wanted {
  const urls = from.map(({ url }) => `${url}/k3s`);
  return { name: 'k3s', urls, sha256: digest(content), size: content.length };
}

function get(what: Wanted, more: Partial<DownloadOptions> = {}): Promise<string> {
  return download(what, { store, patience: quick, ...more });
}

/** Settles when a part of so many bytes is on the disk. */
async function arrived(bytes: number): Promise<void> {
  const incoming = await store.incoming();
  const sizes = () => readdirSync(incoming).map((name) => statSync(join(incoming, name)).size);
  while (!sizes().includes(bytes)) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** What a download that must fail says, with the mirror's port taken out, and that it left nothing behind. */
async function refusal(what: Wanted, more: Partial<DownloadOptions> = {}): Promise<string> {
  const error = await get(what, more).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Failure)) throw new Error('it did not fail as it should', { cause: error });
  expect(error.kind).toBe('dependency');
  expect(existsSync(store.pathOf(what.sha256))).toBe(false);
  expect(error.problems[0]?.what).toBe('k3s cannot be had');
  expect(error.problems[0]?.fix).toContain('edgekiln artifacts import PROFILE DIR');
  return (error.problems[0]?.why ?? '').replace(/127\.0\.0\.1:\d+/g, 'HOST');
}

describe('a good mirror', () => {
  test('gives the file once; the store gives it from then on', async () => {
    const good = await mirror(serve(content));
    const steps: number[] = [];
    const path = await get(wanted(good), { progress: (done) => steps.push(done) });
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(steps.at(-1)).toBe(content.length);
    await get(wanted(good));
    expect(good.asked).toEqual([{ path: '/k3s' }]);
    expect(readdirSync(await store.incoming())).toEqual([]);
  });

  test('a cut transfer goes on where it ended, with the validator of the first part', async () => {
    let first = true;
    const cutting = await mirror((request, response) => {
      if (!first) return serve(content)(request, response);
      first = false;
      response.writeHead(200, { etag: '"1"', 'content-length': content.length });
      response.write(content.subarray(0, half));
      void arrived(half).then(() => response.destroy());
    });
    expect(readFileSync(await get(wanted(cutting))).equals(content)).toBe(true);
    expect(cutting.asked).toEqual([
      { path: '/k3s' },
      { path: '/k3s', range: `bytes=${half}-`, ifRange: '"1"' },
    ]);
  });

  test('a part of a run that was killed is taken over', async () => {
    leave(content.subarray(0, half));
    const good = await mirror(serve(content));
    await get(wanted(good));
    expect(good.asked).toEqual([{ path: '/k3s', range: `bytes=${half}-` }]);
  });

  test('a part that was spoilt is thrown away and the file asked for whole', async () => {
    leave(Buffer.alloc(half));
    const good = await mirror(serve(content));
    expect(readFileSync(await get(wanted(good))).equals(content)).toBe(true);
    expect(good.asked).toEqual([{ path: '/k3s', range: `bytes=${half}-` }, { path: '/k3s' }]);
  });

  test('one that knows no ranges sends the whole file over the part', async () => {
    leave(content.subarray(0, half));
    const plain = await mirror((_request, response) => response.writeHead(200).end(content));
    expect(readFileSync(await get(wanted(plain))).equals(content)).toBe(true);
  });

  test('503 is asked again, after a pause', async () => {
    let count = 0;
    const busy = await mirror((request, response) => {
      if (++count < 3) response.writeHead(503).end();
      else serve(content)(request, response);
    });
    await get(wanted(busy));
    expect(count).toBe(3);
  });

  test('the second one gives what the first lies about', async () => {
    const lying = await mirror(serve(Buffer.alloc(content.length)));
    const good = await mirror(serve(content));
    expect(readFileSync(await get(wanted(lying, good))).equals(content)).toBe(true);
    expect(lying.asked.length).toBe(1);
  });
});

describe('a bad mirror', () => {
  const url = 'http://HOST/k3s';
  const bad: readonly [string, Behaviour, string][] = [
    ['that has it not', (_, response) => response.writeHead(404).end(), 'it answers 404 Not Found'],
    [
      'with another file of that length',
      serve(Buffer.alloc(content.length)),
      `it gives another file: sha256 ${digest(Buffer.alloc(content.length))}, 300000 bytes`,
    ],
    ['with a shorter file', serve(content.subarray(1)), 'it has 299999 bytes, not 300000'],
    [
      'with a login page',
      (_, response) =>
        response.writeHead(200, { 'content-type': 'text/html', 'content-length': 5 }).end('<html'),
      'it answers with a web page instead of the file',
    ],
    [
      'that never stops sending',
      (_, response) => response.writeHead(200).end(Buffer.concat([content, content])),
      'it sends more than 300000 bytes',
    ],
    ['that says nothing', () => {}, "Timeout awaiting 'socket' for 1000ms"],
    [
      'that stops in the middle',
      (_, response) => {
        response.writeHead(200, { 'content-length': content.length });
        response.write(content.subarray(0, half));
      },
      "Timeout awaiting 'socket' for 1000ms",
    ],
  ];
  test.each(bad)('%s', async (_name, behave, why) => {
    expect(await refusal(wanted(await mirror(behave)))).toBe(`${url}: ${why}`);
  });

  test('that never stops sending a file of unknown size is asked once, and nothing of it is kept', async () => {
    const endless = await mirror((_, response) => {
      response.writeHead(200);
      const more = (): void => {
        if (!response.destroyed) response.write(content, more);
      };
      more();
    });
    const { size: _, ...what } = wanted(endless);
    expect(await refusal(what, { largest: 1_000_000 })).toBe(`${url}: it sends more than 1000000 bytes`);
    expect(endless.asked).toHaveLength(1);
    expect(readdirSync(await store.incoming())).toEqual([]);
  });

  test('that is stopped', async () => {
    const gone = await mirror(() => {});
    await gone.stop();
    expect(await refusal(wanted(gone))).toBe(`${url}: connect ECONNREFUSED HOST`);
  });

  test('each says what it did', async () => {
    const first = await mirror((_, response) => response.writeHead(404).end());
    const second = await mirror(serve(content.subarray(1)));
    expect(await refusal(wanted(first, second))).toBe(
      `${url}: it answers 404 Not Found\n  ${url}: it has 299999 bytes, not 300000`,
    );
  });
});

test('offline, nothing is asked', async () => {
  const good = await mirror(serve(content));
  await expect(get(wanted(good), { offline: true })).rejects.toMatchObject({
    kind: 'dependency',
    problems: [{ what: 'k3s is not in the store', why: 'this run is offline' }],
  });
  expect(good.asked).toEqual([]);
});

test('an interruption ends it, and the next run goes on', async () => {
  const stopping = new AbortController();
  const slow = await mirror((request, response) => {
    if (stopping.signal.aborted) return serve(content)(request, response);
    response.writeHead(200, { 'content-length': content.length });
    response.write(content.subarray(0, half), () => void arrived(half).then(() => stopping.abort()));
  });
  await expect(get(wanted(slow), { signal: stopping.signal })).rejects.toMatchObject({ kind: 'interrupted' });
  await get(wanted(slow));
  expect(slow.asked.at(-1)).toEqual({ path: '/k3s', range: `bytes=${half}-` });
});

test('a proxy of the environment is asked for a tunnel', async () => {
  const good = await mirror(serve(content));
  const tunnels: string[] = [];
  const proxy = createServer().on('connect', (request, client) => {
    tunnels.push(request.url ?? '');
    const [host = '', port] = (request.url ?? '').split(':');
    const onward = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      client.pipe(onward).pipe(client);
    });
    client.on('error', () => onward.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as AddressInfo;
  process.env['HTTP_PROXY'] = `http://127.0.0.1:${port}`;
  try {
    await get(wanted(good));
  } finally {
    delete process.env['HTTP_PROXY'];
    proxy.closeAllConnections();
    proxy.close();
  }
  expect(tunnels).toEqual([new URL(good.url).host]);
});

test.each(['not a url', 'http://[::', 'socks5://127.0.0.1:1080'])('the proxy %s is none', async (proxy) => {
  const good = await mirror(serve(content));
  process.env['HTTP_PROXY'] = proxy;
  try {
    await expect(get(wanted(good))).rejects.toMatchObject({
      kind: 'input',
      problems: [
        { what: 'the environment names a proxy that is none', fix: 'write http://HOST:PORT, or unset it' },
      ],
    });
  } finally {
    delete process.env['HTTP_PROXY'];
  }
  expect(good.asked).toEqual([]);
});

/** What a process that is gone left of a download. */
function leave(part: Uint8Array): void {
  const incoming = join(folder, 'store', 'incoming');
  mkdirSync(incoming, { recursive: true });
  const gone = 2 ** 22 + 1; // above the highest pid of Linux
  writeFileSync(join(incoming, `${digest(content)}.${gone}.part`), part);
}
