import { Readable } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { frame, largestAnswer, largestRequest, readFrame } from './framing.ts';

test('a frame arrives whole, however it is cut into pieces', async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), fc.integer({ min: 1, max: 40 }), async (value, size) => {
      const bytes = frame(value);
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      // -0 becomes 0, as JSON has it.
      expect(await readFrame(Readable.from(pieces), largestRequest)).toEqual(
        JSON.parse(JSON.stringify(value)),
      );
    }),
  );
});

test('what is no frame is refused with its reason', async () => {
  const refused = (bytes: Buffer, largest = largestRequest) =>
    expect(readFrame(Readable.from([bytes]), largest)).rejects;
  await refused(frame('x'.repeat(5000))).toThrow('its message of 5002 bytes is too large');
  await refused(Buffer.from('GET / HTTP/1.1\r\n\r\n')).toThrow('it speaks version 71, not 1');
  await refused(frame({ kind: 'roster' }).subarray(0, 9)).toThrow('it hung up');
  await refused(Buffer.from([1, 255, 255, 255]), largestAnswer).toThrow(
    'its message of 16777215 bytes is too large',
  );
  expect(() => frame('x'.repeat(largestAnswer))).toThrow('too large');
});
