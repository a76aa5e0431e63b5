import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { chooseImages, onlySite } from '../qemu/images.ts';
import { controlOf, endLab, identify, labSites, stateOf, writeState } from './state.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'state-'));
  vi.stubEnv('EDGEKILN_LAB', folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

function keep(site: string, keeper: { pid: number; started: string; boot: string }): string {
  const sockets = join(folder, `${site}-sockets`);
  mkdirSync(sockets);
  mkdirSync(join(folder, site));
  writeState(join(folder, site), { version: 1, site, keeper, sockets });
  return sockets;
}

function self() {
  const identity = identify(process.pid);
  if (identity === undefined) throw new Error('this process is not in /proc');
  return identity;
}

it('knows a running keeper by number, start and boot', () => {
  const sockets = keep('shop', self());
  expect(stateOf('shop')).toBe('running');
  expect(controlOf('shop')).toBe(join(sockets, 'control'));
  expect(labSites()).toEqual(['shop']);
});

it('takes neither a number that is used again nor one of before a restart for the keeper, and leaves it alone', async () => {
  const again = keep('again', { ...self(), started: '1' });
  keep('restarted', { ...self(), boot: 'another' });
  for (const site of ['again', 'restarted']) {
    expect(stateOf(site)).toBe('stale');
    expect(() => controlOf(site)).toThrow(`no lab of ${site} is running`);
    expect(await endLab(site)).toBe(site); // and this process lives on to say so
    expect(stateOf(site)).toBe('none');
  }
  expect(existsSync(again)).toBe(false);
  expect(await endLab('again')).toBeUndefined();
});

it('never leaves its own folder', async () => {
  for (const site of ['..', '.', '', 'a/b', '/tmp']) {
    await expect(endLab(site)).rejects.toMatchObject({ kind: 'input' });
  }
});

it('chooses images by name, shares a single one, and refuses more machines than images', async () => {
  const site = join(folder, 'output', 'shop');
  mkdirSync(site, { recursive: true });
  expect(await onlySite(join(folder, 'output'))).toBe(site);
  await expect(chooseImages(site)).rejects.toMatchObject({
    kind: 'input',
    problems: [{ what: 'no images for a lab', why: 'the folder holds no .img file' }],
  });
  writeFileSync(join(site, 'b.img'), '');
  expect(await chooseImages(site, 2)).toEqual({
    site: 'shop',
    shared: true,
    machines: [
      { name: 'n1', image: join(site, 'b.img') },
      { name: 'n2', image: join(site, 'b.img') },
    ],
  });
  writeFileSync(join(site, 'a.img'), '');
  writeFileSync(join(site, 'a.img.bmap'), '');
  expect((await chooseImages(site)).machines.map(({ name }) => name)).toEqual(['a', 'b']);
  expect((await chooseImages(site, 1)).machines.map(({ name }) => name)).toEqual(['a']);
  await expect(chooseImages(site, 3)).rejects.toThrow('no images for a lab');
  expect(await chooseImages(join(site, 'b.img'))).toMatchObject({ site: 'shop', machines: [{ name: 'b' }] });
});
