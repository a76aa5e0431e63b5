// The page in a browser, where there is one: Debian's chromium, driven over its debugging pipe.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isRecord, parseJson } from '../../formats/json.ts';
import { config, stamp } from '../device.fixture.ts';
import { servePage } from './server.ts';
import { type Status, statusOf } from './status.ts';

const chromium = '/usr/bin/chromium';
/** A folder to leave pictures in, for a person to look at. */
const pictures = process.env['EDGEKILN_PICTURES'];

const facts = {
  uptime: 4000,
  config: { ...config, k3s: { version: 'v0.0.0+edgekiln-stand-in', standIn: true } },
  record: {
    flash: stamp.flash,
    slot: 'a',
    seq: 3,
    disk: '/dev/vda',
    data: { state: 'foreign', detail: 'it was made for another flash' },
    problems: ['vda vdb carry the same stamp: vda is used'],
  },
  identity: { known: true, stamp },
  hostName: 'localhost',
  slots: {
    state: { seq: 3, primary: 'a', a: 'good', b: 'bad', left: 9 },
    filling: undefined,
    setback: undefined,
  },
  formation: undefined,
  k3s: undefined,
  interfaces: [
    {
      name: 'enp3s0',
      carrier: true,
      addresses: [
        { address: '192.168.100.120', family: 4, linkLocal: false },
        { address: '2001:db8:1234:5678:9abc:def0:1234:5678', family: 6, linkLocal: false },
      ],
    },
  ],
  os: 'Debian GNU/Linux 13 (trixie)',
  kernel: '6.12.48+deb13-amd64',
  page: { port: 80 },
  openings: [],
  problems: [],
} as const;

const well = statusOf({
  ...facts,
  config,
  record: { ...facts.record, data: { state: 'mounted', detail: '' }, problems: [] },
});
const ill = statusOf(facts, statusOf({ ...facts, uptime: 700 }));

type Send = (method: string, params: object) => Promise<Readonly<Record<string, unknown>>>;

let send: Send;
let server: Server;
let stop: () => Promise<void>;
let shown: Status = well;
let url = '';
const requests: string[] = [];

beforeAll(async () => {
  if (!existsSync(chromium)) return;
  server = await servePage(
    0,
    () => shown,
    () => true,
  );
  server.on('request', (request) => requests.push(request.url ?? ''));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  url = `http://127.0.0.1:${address.port}/`;
  const profile = await mkdtemp(join(tmpdir(), 'edgekiln-browser-'));
  const browser = spawn(
    chromium,
    [
      ...[
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-sync',
      ],
      ...['--disable-background-networking', '--disable-component-update', `--user-data-dir=${profile}`],
      '--remote-debugging-pipe',
    ],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
  );
  const ended = new Promise((resolve) => browser.once('exit', resolve));
  stop = async () => {
    browser.kill('SIGTERM');
    await ended;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  const [, , , input, output] = browser.stdio;
  if (!(input instanceof Writable && output instanceof Readable)) throw new Error('no pipe to the browser');
  const speak = conversation(input, output);
  const target = await speak('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await speak('Target.attachToTarget', { targetId: target['targetId'], flatten: true });
  send = (method, params) => speak(method, params, String(sessionId));
});

afterAll(async () => {
  await stop?.();
  server?.close();
});

/** The DevTools protocol over a pipe: JSON messages, each ended by a zero byte. */
function conversation(input: Writable, output: Readable) {
  const waiting = new Map<unknown, (result: Readonly<Record<string, unknown>>) => void>();
  let rest = '';
  output.setEncoding('utf8').on('data', (text: string) => {
    const messages = (rest + text).split('\0');
    rest = messages.pop() ?? '';
    for (const message of messages.map(parseJson)) {
      if (!isRecord(message)) continue;
      waiting.get(message['id'])?.(isRecord(message['result']) ? message['result'] : message);
      waiting.delete(message['id']);
    }
  });
  let id = 0;
  return (method: string, params: object, sessionId?: string) => {
    id += 1;
    input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise<Readonly<Record<string, unknown>>>((resolve) => waiting.set(id, resolve));
  };
}

async function evaluate(expression: string): Promise<unknown> {
  const { result } = await send('Runtime.evaluate', { expression, awaitPromise: true });
  return isRecord(result) ? result['value'] : undefined;
}

const phone = { width: 360, height: 740, deviceScaleFactor: 2, mobile: true };

async function show(status: Status, scheme: 'light' | 'dark'): Promise<void> {
  shown = status;
  requests.length = 0;
  await send('Emulation.setDeviceMetricsOverride', phone);
  await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
  await send('Page.navigate', { url });
  for (let tries = 0; tries < 100; tries += 1) {
    const ready = await evaluate('location.protocol === "http:" && document.readyState');
    if (ready === 'complete') break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  if (pictures === undefined) return;
  const { data } = await send('Page.captureScreenshot', { format: 'png' });
  const name = `status-${status === well ? 'well' : 'ill'}-${scheme}.png`;
  await writeFile(join(pictures, name), Buffer.from(String(data), 'base64'));
}

test.runIf(existsSync(chromium)).each([
  ['well', well, 'light', 'rgb(255, 255, 255)'],
  ['well', well, 'dark', 'rgb(13, 17, 23)'],
  ['ill', ill, 'light', 'rgb(255, 255, 255)'],
  ['ill', ill, 'dark', 'rgb(13, 17, 23)'],
] as const)('on a phone, %s', async (_, status, scheme, background) => {
  await show(status, scheme);
  expect(await evaluate('document.querySelector("h1").innerText')).toBe('shop-01');
  // The style is let in by its hash, everything fits the width, and text can be told from its ground.
  expect(await evaluate('getComputedStyle(document.body).backgroundColor')).toBe(background);
  expect(await evaluate('document.documentElement.scrollWidth')).toBe(phone.width);
  expect(await evaluate(lowestContrast)).toBeGreaterThan(4.5);
  expect(await evaluate('document.body.innerText.includes("DEMO")')).toBe(status.demo);
  expect(requests.filter((path) => path !== '/favicon.ico')).toEqual(['/']);
});

/** The lowest contrast of any text to the page's ground, as WCAG counts it. */
const lowestContrast = `(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/\\d+/g).map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = light(getComputedStyle(document.body).backgroundColor);
  const ratios = [...document.querySelectorAll('h1,h2,p,li,th,td')].map((one) => {
    const ink = light(getComputedStyle(one).color);
    return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
  });
  return Math.min(...ratios);
})()`;
