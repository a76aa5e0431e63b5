// What a formed site says for ever: at most a kilobyte a second from and to each device, as real packets.
import { expect, it } from 'vitest';
import { encode } from '../../firstboot/protocol/codec.ts';
import type { Checker } from '../../lab/simulated/checkers/checker.ts';
import { largeSite } from '../../lab/simulated/draw.ts';
import { arrange } from '../../lab/simulated/people.ts';
import { World } from '../../lab/simulated/world.ts';
import { tag } from './packets.ts';

const envelope = 8 + 64;
/** Seconds of virtual time: formed, then watched. */
const formed = 600;
const watched = 600;

const stamped = [1, 2, 3, 7, 16, 33, 64].map((devices) => [devices, 'stamped'] as const);
const claimed = [1, 7, 33].map((devices) => [devices, 'claimed'] as const);

it.each([...stamped, ...claimed])('a site of %i, %s', (devices, enrolment) => {
  const sent = new Map<number, number>();
  const meter: Checker = {
    promise: 'meter',
    sent(world, from, message) {
      if (world.now < formed * 1000) return;
      const bytes = encode({ ...message, electors: tag.tag }, tag).length + envelope;
      sent.set(from.index, (sent.get(from.index) ?? 0) + bytes);
    },
  };
  const world = new World(largeSite(devices, 1, enrolment), [meter], false);
  arrange(world);
  world.run((formed + watched) * 1000);
  const rates = [...sent.values()].map((bytes) => bytes / watched);
  expect(rates.length, 'somebody speaks').toBeGreaterThan(0);
  expect(Math.max(...rates), 'from the one that says most').toBeLessThan(1_000);
  expect(
    rates.reduce((sum, rate) => sum + rate, 0),
    'to each device: all of it is broadcast',
  ).toBeLessThan(1_000);
});
