import { describe, expect, it } from 'vitest';
import { scheduleSchema } from '../../lab/simulated/schedule.ts';
import { siteFor } from '../../lab/simulated/site.ts';
import { freshRecord, type Record } from './record.ts';
import { decodeRecord, encodeRecord, type RecordWrite } from './recordfile.ts';
import type { Incarnation } from './terms.ts';

const site = siteFor(scheduleSchema.parse({ version: 1, devices: 3, schedule: [] }));
const record = (round: number): Record => ({ ...freshRecord(site, 0, 7 as Incarnation), round });
const file = Buffer.alloc(256 * 1024);
const put = (onto: Buffer, { offset, bytes }: RecordWrite, upTo = bytes.length) => {
  bytes.copy(onto, offset, 0, upTo);
  return onto;
};

describe('record file', () => {
  it('gives back the newest', () => {
    let bytes = put(Buffer.from(file), encodeRecord(record(1), 1));
    bytes = put(bytes, encodeRecord(record(2), 2));
    expect(decodeRecord(bytes)).toEqual({ record: JSON.parse(JSON.stringify(record(2))), serial: 2 });
  });

  it('survives a write torn at any byte: the one before, or the new one whole', () => {
    const before = put(put(Buffer.from(file), encodeRecord(record(1), 1)), encodeRecord(record(2), 2));
    const write = encodeRecord(record(3), 3);
    for (let torn = 0; torn <= write.bytes.length; torn += 1) {
      const after = decodeRecord(put(Buffer.from(before), write, torn));
      // The tail may be equal to what lay there: then the copy is whole although it was torn.
      const whole = before.subarray(write.offset + torn).indexOf(write.bytes.subarray(torn)) === 0;
      expect(after?.record.round, `torn at ${torn}`).toBe(whole ? 3 : 2);
    }
  });

  it('is no record where nothing is whole', () => {
    expect(decodeRecord(Buffer.alloc(0))).toBeUndefined();
    expect(decodeRecord(file)).toBeUndefined();
    const flipped = put(Buffer.from(file), encodeRecord(record(1), 1));
    flipped[128 * 1024 + 70] = 0;
    expect(decodeRecord(flipped)).toBeUndefined();
  });

  it('refuses a record that does not fit', () => {
    const huge = { ...record(1), superseded: new Array(20_000).fill(2 ** 47) as Incarnation[] };
    expect(() => encodeRecord(huge, 1)).toThrow('does not fit');
  });
});
