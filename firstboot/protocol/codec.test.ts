import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../lab/simulated/random.ts';
import { message, spoil, tag } from '../../test/formation/packets.ts';
import { decode, encode } from './codec.ts';

describe('codec', () => {
  it('reads what it wrote', () => {
    fc.assert(
      fc.property(message, (one) => {
        expect(decode(encode(one, tag), tag)).toEqual(one);
      }),
      { numRuns: 2_000 },
    );
  });

  it('stays within 500 bytes with its envelope, whatever it says', () => {
    fc.assert(
      fc.property(message, (one) => encode(one, tag).length + 72 <= 500),
      { numRuns: 5_000 },
    );
  });

  it('has the same bytes for ever', () => {
    const [one] = fc.sample(message, { numRuns: 1, seed: 7 });
    if (one === undefined) throw new Error('no sample');
    expect(
      encode({ ...one, body: { kind: 'recover', promised: undefined, challenge: 5 as never } }, tag).toString(
        'hex',
      ),
    ).toMatchInlineSnapshot(
      `"01050123456789abcdef00c80104040602063b2800000000000c42ace360d581a5780daf34510a06000000000005"`,
    );
  });

  it('tolerates a later version with fields it does not know', () => {
    fc.assert(
      fc.property(message, (one) => {
        const later = Buffer.concat([encode(one, tag), Buffer.from([200, 3, 1, 2, 3])]);
        later[0] = 9;
        expect(decode(later, tag)).toEqual(one);
      }),
    );
  });

  it('tells what it does not know from what is broken, and from what is another site’s', () => {
    const [one] = fc.sample(message, { numRuns: 1, seed: 8 });
    if (one === undefined) throw new Error('no sample');
    const bytes = encode(one, tag);
    const unknown = Buffer.from(bytes);
    unknown[1] = 99;
    expect(decode(unknown, tag)).toBe('unknown');
    expect(decode(bytes.subarray(0, 20), tag)).toBe('malformed');
    expect(decode(bytes, { ...tag, tag: 'ffffffffffffffff' as never })).toBe('foreign');
  });

  it('never throws: 100,000 spoilt packets', () => {
    const random = new Random(1);
    const good = fc.sample(message, { numRuns: 200, seed: 1 }).map((one) => encode(one, tag));
    const outcomes = new Set<string>();
    for (let count = 0; count < 100_000; count += 1) {
      const result = decode(spoil(random.pick(good), random), tag);
      outcomes.add(typeof result === 'string' ? result : 'message');
    }
    expect([...outcomes].sort()).toEqual(['foreign', 'malformed', 'message', 'unknown']);
  });
});
