import { expect, test } from 'vitest';
import type { BootState } from '../../formats/bootstate.ts';
import { config, stamp } from '../device.fixture.ts';
import { renderPage } from './page.ts';
import { type Facts, type Status, statusOf } from './status.ts';
import { renderConsoleLine, renderText } from './text.ts';
import { duration } from './words.ts';

const eth0 = {
  name: 'eth0',
  carrier: true,
  addresses: [
    { address: '192.168.1.20', family: 4, linkLocal: false },
    { address: 'fe80::1', family: 6, linkLocal: true },
    { address: '2001:db8::20', family: 6, linkLocal: false },
  ],
} as const;

const whole: Facts = {
  uptime: 100,
  config,
  record: {
    flash: stamp.flash,
    slot: 'a',
    seq: 3,
    disk: '/dev/vda',
    data: { state: 'mounted', detail: '' },
    problems: [],
  },
  identity: { known: true, stamp },
  hostName: 'localhost',
  slots: {
    state: { seq: 3, primary: 'a', a: 'good', b: 'bad', left: 9 },
    filling: undefined,
    setback: undefined,
  },
  interfaces: [eth0],
  formation: undefined,
  k3s: undefined,
  os: 'Debian GNU/Linux 13 (trixie)',
  kernel: '6.12.0',
  page: { port: 80 },
  openings: [],
  problems: [],
};

const missing: Facts = {
  ...whole,
  record: { ...whole.record, data: { state: 'missing', detail: '' } },
};

test('a whole device is idle, healthy and says where its page is', () => {
  const status = statusOf(whole);
  expect(status).toMatchObject({ healthy: true, phase: 'idle', waitsFor: [], problems: [] });
  expect(status.urls).toEqual(['http://192.168.1.20/', 'http://[2001:db8::20]/']);
  expect(renderConsoleLine(status)).toBe(
    'edgekiln: shop-01 (place 1 of quickstart) slot A, healthy, http://192.168.1.20/',
  );
  expect(renderText(status)).toBe(`shop-01 (place 1 of quickstart)
This device is up, waits for nothing and is in no cluster.

site      quickstart
place     1
slot      A, good; B is empty or bad
data      mounted
eth0      192.168.1.20, fe80::1, 2001:db8::20
edgekiln  0.1.0
system    Debian GNU/Linux 13 (trixie)
kernel    6.12.0
k3s       v1.36.4+k3s1
up for    1 min
page      http://192.168.1.20/
          http://[2001:db8::20]/
`);
});

test.each<[string, Partial<Facts>, Partial<Status>]>([
  ['no interface', { interfaces: [] }, { phase: 'waiting', healthy: true }],
  [
    'no cable',
    { interfaces: [{ ...eth0, carrier: false, addresses: [] }] },
    { phase: 'waiting', healthy: true },
  ],
  [
    'only link-local',
    { interfaces: [{ ...eth0, addresses: eth0.addresses.slice(1, 2) }] },
    { phase: 'waiting' },
  ],
  ['data missing', missing, { phase: 'held', healthy: true }],
  ['no stamp', { identity: { known: false, why: 'none' } }, { phase: 'held', healthy: true, place: null }],
  ['no configuration', { config: { unusable: 'broken' } }, { phase: 'idle', healthy: false }],
  ['no page', { page: { failed: 'port taken' } }, { phase: 'idle', healthy: false, urls: [] }],
])('%s', (_, changed, expected) => {
  expect(statusOf({ ...whole, ...changed })).toMatchObject(expected);
});

test('a good slot that was to be started and could not be is a problem; one that waits for its trial is none', () => {
  const problemsOf = (running: 'a' | 'b', state: Partial<BootState>): readonly string[] => {
    const found: BootState = { seq: 3, primary: 'a', a: 'good', b: 'good', left: 8, ...state };
    const record = { ...whole.record, slot: running };
    return statusOf({ ...whole, record, slots: { state: found, filling: undefined, setback: undefined } })
      .problems;
  };
  const said = 'slot A was to be started and could not be: slot B runs';
  expect(problemsOf('b', {})).toEqual([said]);
  expect(problemsOf('a', {})).toEqual([]);
  expect(problemsOf('a', { primary: 'b', b: 'trial' })).toEqual([]);
  expect(problemsOf('b', { b: 'trial', left: 9 })).toEqual([]);
  expect(problemsOf('a', { b: 'trial', left: 9 })).toEqual([
    'slot B is on trial and was put off: it saw no network',
  ]);
});

test('a trial that fell back is told on console, page and in the text: which slot, why, since when', () => {
  const setback = { slot: 'b', why: 'trial not confirmed', since: '2026-11-21T18:05:09.123Z' } as const;
  const status = statusOf({ ...whole, slots: { state: undefined, filling: undefined, setback } });
  const words =
    'slot B was on trial and none of its starts was confirmed: given up for slot A, seen 2026-11-21 18:05 UTC';
  expect(status.slot.setback).toEqual(setback);
  expect(status.problems).toEqual([words]);
  expect(renderConsoleLine(status)).toContain(`healthy, problem: ${words}, http`);
  expect(renderText(status)).toContain(`  problem: ${words}\n`);
  expect(renderPage(status)).toContain(`<li>${words}</li>`);
});

test('since when something is waited for is remembered, and forgotten when it came', () => {
  const first = statusOf({ ...missing, uptime: 10 });
  const later = statusOf({ ...missing, uptime: 200, interfaces: [] }, first);
  expect(later.waitsFor.map(({ id, since }) => [id, since])).toEqual([
    ['data', 10],
    ['interface', 200],
  ]);
  const mended = statusOf({ ...whole, uptime: 300 }, later);
  expect(statusOf({ ...missing, uptime: 400 }, mended).waitsFor[0]?.since).toBe(400);
  expect(renderText(later)).toContain('data partition: there is none, for 3 min\n');
});

test('DEMO is said everywhere where k3s is the stand-in, and nowhere else', () => {
  const standIn = { version: 'v0.0.0+edgekiln-stand-in', standIn: true };
  const demo = statusOf({ ...whole, config: { ...config, k3s: standIn } });
  const real = statusOf(whole);
  expect([demo.demo, real.demo]).toEqual([true, false]);
  for (const render of [renderText, renderPage, renderConsoleLine]) {
    expect(render(demo)).toContain('DEMO');
    expect(render(real)).not.toContain('DEMO');
  }
});

test('no rendering tells a secret of the stamp', () => {
  const status = statusOf(whole);
  for (const text of [renderText(status), renderPage(status), JSON.stringify(status)]) {
    expect(text).not.toContain(stamp.deviceKey);
  }
});

test('what comes from outside cannot become markup', () => {
  const evil = '<img src=x onerror="alert(1)">&';
  const record = { ...whole.record, data: { state: 'foreign', detail: evil }, problems: [evil] } as const;
  const page = renderPage(statusOf({ ...whole, record, os: evil, problems: [evil] }));
  expect(page).not.toContain('<img');
  expect(page).toContain('&#60;img src=x onerror=&#34;alert(1)&#34;&#62;&#38;');
});

test('the page asks for nothing else and is small', () => {
  const page = renderPage(statusOf({ ...missing, problems: ['a', 'b'] }));
  expect(page).not.toMatch(/src=|href=|url\(|@import|<script/);
  expect(page.length).toBeLessThan(5000);
});

test.each([
  [0, '0 s'],
  [-1, '0 s'],
  [59.9, '59 s'],
  [60, '1 min'],
  [3600, '1 h'],
  [7500, '2 h 5 min'],
  [86_400, '1 d'],
  [356_400, '4 d 3 h'],
])('%d seconds are %s', (seconds, words) => {
  expect(duration(seconds)).toBe(words);
});

test('what to open to reach an app is said with an address of this board', () => {
  const openings = [
    { app: 'till', port: 30080, protocol: 'TCP', board: 'every' },
    { app: 'till', port: 9000, protocol: 'UDP', board: 'its own' },
  ] as const;
  const text = renderText(statusOf({ ...whole, openings }));
  expect(text).toContain('app till  192.168.1.20:30080, or that port of any board\n');
  expect(text).toContain('app till  port 9000 of the board that runs it (UDP)\n');
  const without = renderText(statusOf({ ...whole, interfaces: [], openings }));
  expect(without).toContain('app till  port 30080 of any board\n');
});
