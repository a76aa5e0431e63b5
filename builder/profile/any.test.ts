// Whatever is given ends in a profile or in a failure that says where.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Failure } from '../../formats/errors.ts';
import { parseProfile } from './load.ts';

const boards = ['board-a'];
const encode = (text: string) => new TextEncoder().encode(text);
const smallest = `apiVersion: edgekiln/v1
site: {name: shop}
board: board-a
k3s: {standIn: true}
devices: [{name: a}]
`;

describe('whatever is given', () => {
  const check = (bytes: Uint8Array) => {
    try {
      parseProfile(bytes, 'p.yaml', boards);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      for (const problem of error.problems) expect(problem.where).toMatch(/^p\.yaml/);
    }
  };

  it('any text ends in a profile or a failure', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => check(encode(text))),
      { numRuns: 1000 },
    );
  });

  it('any bytes do', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), check), { numRuns: 1000 });
  });

  it('a profile with any value at any key does', () => {
    const words = fc.constantFrom(
      'name',
      'devices',
      'k3s',
      'base',
      'lan',
      'static',
      'files',
      'apps',
      'chart',
      'labels',
      '__proto__',
      'config',
      'persist',
      'users',
      'network',
      'registries',
      'limits',
      'system',
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        fc.jsonValue(),
        tie('map'),
        fc.array(tie('map'), { maxLength: 3 }),
      ),
      map: fc.dictionary(words, tie('tree'), { maxKeys: 3 }),
    }));
    fc.assert(
      fc.property(fc.dictionary(words, tree), (value) =>
        check(encode(JSON.stringify({ apiVersion: 'edgekiln/v1', ...value }))),
      ),
      { numRuns: 600 },
    );
  });

  it('a good profile with any piece cut out or doubled does', () => {
    const full = `${smallest}lan: {static: {subnet: 10.0.0.0/24}}\nfiles: [{path: /etc/a, content: "x"}]\nnetwork: {podCidr: 10.9.0.0/16}\nusers: [{name: a, sshKeys: []}]\n`;
    fc.assert(
      fc.property(fc.nat(full.length), fc.nat(20), fc.boolean(), (at, length, twice) => {
        const piece = full.slice(at, at + length);
        check(encode(full.slice(0, at) + (twice ? piece + piece : '') + full.slice(at + length)));
      }),
      { numRuns: 600 },
    );
  });
});
