// From a profile to a machine that boots: built by the real program, started in QEMU, twice in a row.
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Lab, openLab } from '../../lab/keeper/lab.ts';
import type { Machine } from '../../lab/qemu/machine.ts';
import { healthy, logIn, makeSite, type Shell, statusOf, type TestSite } from './site.ts';

let site: TestSite;
let lab: Lab;

beforeAll(async () => {
  site = makeSite('boot');
  lab = await openLab({ site: 'boot', directory: join(site.folder, 'lab') });
});
afterAll(async () => {
  await lab.stop();
  rmSync(site.folder, { recursive: true });
});

async function digest(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest('hex');
}

describe('a build', () => {
  it('makes an image for each device, and says what to do next', () => {
    const { stdout, stderr } = site.edgekiln('build', site.profile);
    expect(stdout).toBe('output/boot/boot-one.img\noutput/boot/boot-two.img\noutput/boot/boot-three.img\n');
    expect(stderr).toContain('DEMO');
    expect(stderr).toContain('The keys of this site were made in');
  });

  it('takes everything from the store the second time', () => {
    const { stages } = JSON.parse(site.edgekiln('build', site.profile, '--json').stdout);
    expect(stages.map((stage: { stage: string; cached: boolean }) => [stage.stage, stage.cached])).toEqual([
      ['apps', true],
      ['images', true],
      ['base', true],
      ['programs', true],
      ['tree', true],
      ['initrd', true],
      ['slot', true],
      ['disk', true],
      ['digest', true],
      ['manifest', true],
    ]);
  });

  it('makes the same bytes in another folder, and little anew for a small change', async () => {
    site.edgekiln('build', site.profile, '--output', 'again');
    expect(await digest(join(site.folder, 'again/boot/boot-two.img'))).toBe(
      await digest(site.image('boot-two')),
    );
    rmSync(join(site.folder, 'again'), { recursive: true });
    const changed = join(site.folder, 'changed.yaml');
    writeFileSync(changed, `${readFileSync(site.profile, 'utf8')}persist: [{path: /srv/till}]\n`);
    writeFileSync(join(site.folder, 'changed.lock.yaml'), readFileSync(join(site.folder, 'boot.lock.yaml')));
    const { stages } = JSON.parse(site.edgekiln('build', changed, '--output', 'again', '--json').stdout);
    const made = stages.filter((stage: { cached: boolean }) => !stage.cached);
    expect(made.map((stage: { stage: string }) => stage.stage)).toEqual([
      'tree',
      'slot',
      'disk',
      'digest',
      'manifest',
    ]);
    rmSync(join(site.folder, 'again'), { recursive: true });
  });
});

describe('a machine with the image', () => {
  let machine: Machine;
  let shell: Shell;
  let first: { id: string; key: string };
  const facts = async () => ({
    id: await shell.run('cat /etc/machine-id'),
    key: await shell.run('ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub'),
  });

  it('reaches a healthy agent', async () => {
    machine = await lab.add({
      name: 'one',
      board: 'qemu-x86_64',
      image: site.image('boot-one'),
      survival: 0,
    });
    const [, name, place, of, slot] = await machine.console.waitFor(healthy, 90_000);
    expect([name, place, of, slot]).toEqual(['boot-one', '1', 'boot', 'A']);
  });

  it('made its data, and says what it is', async () => {
    shell = await logIn(machine);
    first = await facts();
    expect(first.id).toMatch(/^[0-9a-f]{32}$/);
    expect(await statusOf(shell)).toMatchObject({ name: 'boot-one', site: 'boot', place: 1, demo: true });
    expect(await shell.run('cat /run/edgekiln/boot.json')).toContain('"data":{"state":"created"');
    // The image is 2 GiB, the disk 8 GiB: data has grown over what was left.
    expect(Number(await shell.run('df --output=size -k /run/edgekiln/data | tail -1'))).toBeGreaterThan(
      5_000_000,
    );
    expect(await shell.run('systemctl --failed --no-legend --plain')).toBe('');
  });

  it('has a root that nobody writes to, and no secret that others read', async () => {
    expect(await shell.run('touch /usr/x 2>&1 || true')).toContain('Read-only file system');
    expect(
      await shell.run(
        'stat -c %a /run/edgekiln/stamp /run/edgekiln/data/persist/etc/ssh/ssh_host_ed25519_key',
      ),
    ).toBe('600\n600');
    expect(
      await shell.run(
        // The agent starts k3s when its time has come, and nobody else.
        'ls -d /usr/lib/systemd/system/*.wants/k3s* /etc/systemd/system/*.wants/k3s* 2>/dev/null || true',
      ),
    ).toBe('');
  });

  it('is the same machine after the power was cut', async () => {
    await shell.run('echo kept > /var/lib/edgekiln/mine; echo gone > /etc/mine; sync');
    await machine.powerCut();
    await machine.powerOn();
    await machine.console.waitFor(healthy, 90_000);
    shell = await logIn(machine);
    expect(await facts()).toEqual(first);
    expect(await shell.run('cat /var/lib/edgekiln/mine; ls /etc/mine 2>/dev/null || echo nothing')).toBe(
      'kept\nnothing',
    );
    expect(await shell.run('cat /run/edgekiln/boot.json')).toContain('"data":{"state":"mounted"');
  });
});
