import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readGrubEnvironment } from './grubenv.ts';
import { largestPayload, openStamp, type Stamp, sealStamp, stampSize } from './stamp.ts';

const site = generateKeyPairSync('ed25519');
const other = generateKeyPairSync('ed25519');
const stamp: Stamp = {
  version: 1,
  site: 'shop',
  device: 'shop-01',
  hostname: 'shop-01',
  place: 1,
  flash: '5e1f0000-0000-4000-8000-000000000001',
  deviceKey: Buffer.alloc(32, 7).toString('base64'),
  disk: {
    bootState: [
      { start: 4_194_304, size: 1024 },
      { start: 4_198_400, size: 1024 },
    ],
    slots: {
      a: { start: 67_108_864, size: 1_073_741_824 },
      b: { start: 1_140_850_688, size: 1_073_741_824 },
    },
  },
  slot: { digest: 'ab'.repeat(32), mapped: [[0, 4096]] },
};

describe('a stamp', () => {
  it('is read back by who has the site key', () => {
    const region = sealStamp(stamp, site.privateKey);
    expect(region.length).toBe(stampSize);
    expect(openStamp(region, site.publicKey)).toEqual(stamp);
  });

  it('begins with an environment block that a bootloader reads', () => {
    const region = sealStamp(stamp, site.privateKey);
    expect(readGrubEnvironment(region.subarray(0, 1024))?.get('flash_id')).toBe(stamp.flash);
    expect(readGrubEnvironment(region.subarray(0, 1024))?.get('place')).toBe('1');
  });

  it('is the same bytes each time', () => {
    expect(sealStamp(stamp, site.privateKey)).toEqual(sealStamp(stamp, site.privateKey));
  });

  it('of another site is refused', () => {
    const region = sealStamp(stamp, other.privateKey);
    expect(() => openStamp(region, site.publicKey)).toThrow('the stamp cannot be trusted');
  });

  it('is refused when any byte before its end is changed', () => {
    const region = sealStamp(stamp, site.privateKey);
    const end = 1036 + JSON.stringify(stamp).length + 64;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: end - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Uint8Array.from(region);
        changed[at] = (changed[at] ?? 0) ^ flip;
        expect(() => openStamp(changed, site.publicKey)).toThrow();
      }),
    );
  });

  it('that is too large is refused by how much', () => {
    const large = { ...stamp, device: 'x'.repeat(largestPayload) };
    expect(() => sealStamp(large, site.privateKey)).toThrow(/too many/);
  });

  it('is missing where there are zeros', () => {
    expect(() => openStamp(new Uint8Array(stampSize), site.publicKey)).toThrow('there is no stamp here');
  });
});
