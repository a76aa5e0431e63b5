import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { answerWith, NameResponder, questionFor } from './mdns.ts';

const name = 'shop-01.local';
/** A question as a resolver asks it: number, name, type, class. */
function question(id: number, asked: string, type: number, klass: number): Buffer {
  const labels = asked
    .split('.')
    .map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1'));
  const header = Buffer.from([id >> 8, id & 255, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, type, klass >> 8, klass & 255])]);
}

test.each([
  ['its own name', question(7, 'shop-01.local', 1, 1), { id: 7, alone: false }],
  [
    'in capitals, of any type, for the asker alone',
    question(0, 'SHOP-01.local', 255, 0x8001),
    { id: 0, alone: true },
  ],
  ['another name', question(7, 'shop-02.local', 1, 1), undefined],
  ['IPv6', question(7, 'shop-01.local', 28, 1), undefined],
  ['an answer', answerWith(name, ['10.0.0.1']), undefined],
  ['a torn one', question(7, 'shop-01.local', 1, 1).subarray(0, 20), undefined],
])('it looks for %s', (_, bytes, expected) => {
  expect(questionFor(bytes, name)).toEqual(expected);
});

test('an answer is as RFC 6762 has it', () => {
  expect(answerWith('a.local', ['10.0.0.1']).toString('hex')).toBe(
    '000084000000000100000000' + '0161056c6f63616c00' + '00018001000000780004' + '0a000001',
  );
  expect(answerWith('a.local', ['10.0.0.1'], { id: 0x1234 }).toString('hex')).toBe(
    '123484000001000100000000' +
      '0161056c6f63616c0000010001' +
      '0161056c6f63616c00' +
      '00010001000000780004' +
      '0a000001',
  );
});

test('no bytes make it throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      questionFor(Buffer.from(bytes), name);
    }),
  );
});

test('an address that goes away while it begins to listen there ends nothing', async () => {
  const thrown: unknown[] = [];
  const note = (error: unknown): void => void thrown.push(error);
  process.on('uncaughtException', note);
  const responder = new NameResponder('shop-01');
  const gone = { address: '192.0.2.77', family: 4, linkLocal: false } as const;
  responder.look([{ name: 'eth0', carrier: true, addresses: [gone] }]);
  await sleep(300);
  responder.close();
  process.off('uncaughtException', note);
  expect(thrown).toEqual([]);
});
