// Names in the order of their bytes, however long and alike they are.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { orderNames } from './order.ts';

it('names are in the order of their bytes, however alike they are', () => {
  const piece = fc.constantFrom('', 'a', 'b', '\x01', '\xff', 'n'.repeat(31), 'n'.repeat(32), 'n'.repeat(90));
  const name = fc.array(piece, { maxLength: 4 }).map((parts) => Buffer.from(parts.join(''), 'latin1'));
  fc.assert(
    fc.property(fc.array(name, { maxLength: 40 }), (names) => {
      const page = Buffer.concat(names);
      const starts = names.map((_, i) => Buffer.concat(names.slice(0, i)).length);
      const order = names.map((_, i) => i);
      orderNames(order, {
        lengthOf: (i) => names[i]?.length ?? 0,
        pageOf: () => page,
        startOf: (i) => starts[i] ?? 0,
      });
      expect(order.map((i) => names[i])).toEqual([...names].sort(Buffer.compare));
    }),
    { numRuns: 500 },
  );
});

it('what many long names have in common is gone through once', () => {
  const count = 50;
  const page = Buffer.from(
    Array.from({ length: count }, (_, i) => String(100 + i).padStart(250, 'n')).join(''),
  );
  let looked = 0;
  const order = Array.from({ length: count }, (_, i) => (i * 7) % count);
  orderNames(order, {
    lengthOf: () => 250,
    pageOf: () => {
      looked++;
      return page;
    },
    startOf: (i) => i * 250,
  });
  expect(order).toEqual(Array.from({ length: count }, (_, i) => i));
  expect(looked).toBe(3 * count);
});
