import { expect, test, vi } from 'vitest';
import { place } from '../../formats/roster.ts';
import { PeerTime } from './peertime.ts';

const [one, two, three, four] = [place(1), place(2), place(3), place(4)];
const hour = 3600_000;

function peers(ahead: Record<number, number>) {
  const raised: number[] = [];
  const asked: number[] = [];
  const saved: number[] = [];
  const clock = {
    raise: (seconds: number) => Promise.resolve(raised.push(Math.round(seconds - Date.now() / 1000)) > 0),
    save: () => Promise.resolve(void saved.push(Date.now())),
  };
  const time = new PeerTime(clock, (of) => {
    asked.push(of);
    const by = ahead[of];
    return by === undefined ? Promise.reject(new Error('silent')) : Promise.resolve(Date.now() + by * 1000);
  });
  return { time, raised, asked, saved };
}

test('a clock that is far behind is raised and kept; a little behind, or ahead, it is left', async () => {
  vi.spyOn(console, 'log').mockImplementation(() => {});
  const { time, raised, saved } = peers({ 1: 20 * 365 * 86_400, 2: 20, 3: -500_000 });
  expect(await time.takeFrom(one)).toBe(true);
  expect([raised, saved.length]).toEqual([[20 * 365 * 86_400], 1]);
  await time.takeFrom(two);
  await time.takeFrom(three);
  expect([raised.length, saved.length]).toEqual([1, 1]);
});

test('three servers are asked after a start, each again after hours; a silent one soon', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {});
  const { time, asked } = peers({ 1: 0, 3: 0, 4: 0 });
  const servers = [one, two, three, four];
  for (let now = 0; now < 60_000; now += 5000) await time.look(servers, now);
  // The second is silent: it is asked every 30 s. The fourth is one too many.
  expect(asked).toEqual([1, 2, 3, 2]);
  await time.look(servers, 6 * hour - 1);
  await time.look(servers, 6 * hour);
  expect(asked.slice(4)).toEqual([2, 1]);
  await time.look([], 24 * hour);
  expect(asked).toHaveLength(6);
});
