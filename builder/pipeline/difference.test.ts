import { expect, it } from 'vitest';
import { Failure } from '../../formats/errors.ts';
import { compareManifests } from './difference.ts';
import { type Manifest, parseManifest, renderManifest } from './manifest.ts';

const before: Manifest = {
  version: 1,
  edgekiln: '0.1.0',
  site: 'shop',
  epoch: 1,
  profile: 'p1',
  lock: 'l1',
  tools: { zlib: '1.3' },
  packages: [
    {
      suite: 'trixie',
      architecture: 'amd64',
      install: [{ name: 'nodejs', version: '20.19.2', sha256: 'a' }],
      extract: [],
    },
  ],
  artifacts: [{ name: 'k3s/v1', size: 3, sha256: 'c' }],
  boards: [
    {
      board: 'pc',
      budget: { slot: 3, used: 2, image: 9 },
      stages: [
        { stage: 'base', version: 1, key: 'k1', options: { suite: 'x' }, inputs: {} },
        {
          stage: 'tree',
          version: 1,
          key: 'k2',
          options: { locale: 'a', users: 'b' },
          inputs: { base: 'k1' },
        },
      ],
    },
  ],
  devices: [
    {
      device: 'one',
      hostname: 'shop-one',
      place: 1,
      board: 'pc',
      files: [{ name: 'shop-one.img', size: 9, sha256: 'f1' }],
    },
  ],
};

it('a manifest does not differ from itself, read back', () => {
  const same = parseManifest(renderManifest(before), 'manifest.json');
  expect(compareManifests(before, same)).toEqual({
    stages: [],
    packages: [],
    artifacts: [],
    tools: [],
    sources: [],
    files: [],
  });
});

it('names the options, inputs and versions that made a stage anew, and packages by version', () => {
  const [base, tree] = before.boards[0]?.stages ?? [];
  if (base === undefined || tree === undefined) throw new Error('there are two stages above');
  const after: Manifest = {
    ...before,
    profile: 'p2',
    devices: [],
    tools: { zlib: '1.4' },
    packages: [
      {
        suite: 'trixie',
        architecture: 'amd64',
        install: [
          { name: 'nodejs', version: '20.19.3', sha256: 'b' },
          { name: 'sudo', version: '1.9', sha256: 'd' },
        ],
        extract: [],
      },
    ],
    artifacts: [],
    boards: [
      {
        board: 'pc',
        budget: { slot: 3, used: 2, image: 9 },
        stages: [
          { ...base, key: 'k9', version: 2 },
          { ...tree, key: 'k8', options: { locale: 'z', users: 'b' }, inputs: { base: 'k9' } },
          { stage: 'zip', version: 1, key: 'k7', options: {}, inputs: {} },
        ],
      },
    ],
  };
  expect(compareManifests(before, after)).toEqual({
    stages: [
      { board: 'pc', stage: 'base', why: ['version 1 → 2'] },
      { board: 'pc', stage: 'tree', why: ['option locale', 'input base'] },
      { board: 'pc', stage: 'zip', why: ['added'] },
    ],
    packages: [
      { name: 'nodejs:amd64', before: '20.19.2', after: '20.19.3' },
      { name: 'sudo:amd64', before: undefined, after: '1.9' },
    ],
    artifacts: [{ name: 'k3s/v1', before: 'c', after: undefined }],
    tools: [{ name: 'zlib', before: '1.3', after: '1.4' }],
    sources: [{ name: 'profile', before: 'p1', after: 'p2' }],
    files: [{ name: 'shop-one.img', before: 'f1', after: undefined }],
  });
});

it.each([
  ['{', 'input', 'this is not a manifest of edgekiln'],
  ['{"version": 2}', 'unsupported', 'a manifest of version 2'],
  ['{"version": 1}', 'input', 'this is not a manifest of edgekiln'],
])('refuses %s', (text, kind, what) => {
  try {
    parseManifest(text, 'm.json');
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    expect(error).toMatchObject({ kind, problems: [{ what, where: 'm.json' }] });
  }
});
