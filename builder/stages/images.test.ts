import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { dockerFiles, type FixtureImage, ociFiles, writeTar } from '../artifacts/images/archive.fixture.ts';
import { workshopIn } from '../pipeline/workshop.fixture.ts';
import { type ImagesOptions, images } from './images.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const image = (name: string, layer: string): FixtureImage => ({
  names: [name],
  architectures: ['amd64'],
  layers: [layer],
});
const wanted = [
  { name: 'docker.io/rancher/mirrored-pause:3.6', by: 'k3s v1' },
  { name: 'docker.io/shop/web:2', by: 'app shop' },
];
let count = 0;

async function run(inputs: Record<string, string>, more: Partial<ImagesOptions> = {}): Promise<string> {
  const result = join(folder, `result-${++count}`);
  mkdirSync(result);
  const given = { architecture: 'amd64' as const, archives: Object.keys(inputs), wanted };
  const options: ImagesOptions = { ...given, whole: [], disabled: [], ...more };
  await images.run(images.schema.parse(options), inputs, workshopIn(result));
  return result;
}

async function archives(): Promise<Record<string, string>> {
  const k3s = await writeTar(
    join(folder, 'k3s.tar'),
    dockerFiles([
      image('rancher/mirrored-pause:3.6', 'pause'),
      image('rancher/klipper-lb:v1', 'x'.repeat(100_000)),
    ]),
  );
  execFileSync('zstd', ['-qf', k3s]);
  const shop = await writeTar(
    join(folder, 'shop.tar'),
    ociFiles([image('docker.io/shop/web:2', 'web')]).files,
  );
  writeFileSync(`${shop}.gz`, gzipSync(readFileSync(shop)));
  const spare = await writeTar(join(folder, 'spare.tar'), dockerFiles([image('shop/web:2', 'another')]));
  return { 'k3s images': `${k3s}.zst`, 'shop.tar.gz of app shop': `${shop}.gz`, spare };
}

test('leaves what is wanted, from each archive that gives something, named by digest; twice the same', async () => {
  const inputs = await archives();
  const [one, two] = [await run(inputs), await run(inputs)];
  const listed: { file: string; size: number; images: string[] }[] = JSON.parse(
    readFileSync(join(one, 'images.json'), 'utf8'),
  );
  expect(listed.map((each) => each.images)).toEqual([[wanted[0]?.name], [wanted[1]?.name]]);
  expect(readdirSync(one).sort()).toEqual([...listed.map(({ file }) => file), 'images.json'].sort());
  for (const { file, size } of listed) {
    const bytes = readFileSync(join(one, file));
    expect(bytes.length).toBe(size);
    const plain = execFileSync('zstd', ['-dqc', join(one, file)]);
    expect(file).toBe(`${createHash('sha256').update(plain).digest('hex')}.tar.zst`);
    expect(plain.length).toBeLessThan(50_000);
    expect(readFileSync(join(two, file)).equals(bytes)).toBe(true);
  }
});

test('stops when an image is missing, and names it and who wants it', async () => {
  const more = { wanted: [...wanted, { name: 'docker.io/shop/till:1', by: 'app till (till.yaml)' }] };
  await expect(run(await archives(), more)).rejects.toMatchObject({
    kind: 'input',
    problems: [
      { what: 'the image docker.io/shop/till:1 is in no archive', why: 'wanted by app till (till.yaml)' },
    ],
  });
});

test('says which archive cannot be read, by the name people know', async () => {
  const inputs = { ...(await archives()), 'broken of app shop': join(folder, 'broken') };
  writeFileSync(join(folder, 'broken'), 'not an archive');
  await expect(run(inputs)).rejects.toMatchObject({
    kind: 'input',
    problems: [{ where: 'broken of app shop' }],
  });
});

test('says which archive is damaged, by the name people know', async () => {
  const { files } = ociFiles([image('docker.io/shop/till:1', 'till')]);
  const spoilt = files.map(([path, content]) => [path, content === 'till' ? 'bill' : content] as const);
  const file = await writeTar(join(folder, 'spoilt.tar'), spoilt);
  const more = { wanted: [{ name: 'docker.io/shop/till:1', by: 'app till' }] };
  await expect(run({ 'spoilt.tar of app till': file }, more)).rejects.toMatchObject({
    kind: 'input',
    problems: [{ what: 'an image archive is damaged', where: 'spoilt.tar of app till' }],
  });
});

test('with nothing wanted, nothing is left', async () => {
  expect(readdirSync(await run(await archives(), { wanted: [] }))).toEqual(['images.json']);
});

test('archives of k3s are taken whole, less what is disabled', async () => {
  const inputs = await archives();
  const more = { wanted: [], whole: ['k3s images'], disabled: ['servicelb'] };
  const result = await run(inputs, more);
  const listed: { images: string[] }[] = JSON.parse(readFileSync(join(result, 'images.json'), 'utf8'));
  expect(listed.map(({ images }) => images)).toEqual([['docker.io/rancher/mirrored-pause:3.6']]);
});
