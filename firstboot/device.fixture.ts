// A device's files in a folder, for tests: what the image, the initrd and the kernel would have left.
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type AgentConfig, agentConfigFile, renderAgentConfig, siteKeyFile } from '../formats/agentconfig.ts';
import { encodeBootState, flashedState } from '../formats/bootstate.ts';
import { defaultPersist, persistFile, renderPersist } from '../formats/persist.ts';
import { type Stamp, sealStamp, stampOffset } from '../formats/stamp.ts';

export const siteKeys = generateKeyPairSync('ed25519');

const mebibyte = 1024 * 1024;

/** What slot A holds: different bytes in each block, and holes that are no part of it. */
export const slotBytes = Buffer.alloc(3 * mebibyte, 0xee);
const mapped = [
  [0, 4096],
  [65536, 2 * mebibyte + 8192],
  [3 * mebibyte - 4096, 3 * mebibyte],
] as const;
const digest = createHash('sha256');
for (const [start, end] of mapped) {
  for (let at = start; at < end; at += 4096) slotBytes.fill(`block at ${at} `, at, at + 4096);
  digest.update(slotBytes.subarray(start, end));
}

export const stamp: Stamp = {
  version: 1,
  site: 'quickstart',
  device: 'shop-01',
  hostname: 'shop-01',
  place: 1,
  flash: '6a1ff1c8-3b7a-4d0c-8a54-8f1d86b3a7a1',
  deviceKey: Buffer.alloc(32, 7).toString('base64'),
  disk: {
    bootState: [
      { start: 10 * mebibyte, size: 1024 },
      { start: 10 * mebibyte + 4096, size: 1024 },
    ],
    slots: {
      a: { start: 4 * mebibyte, size: slotBytes.length },
      b: { start: 7 * mebibyte, size: slotBytes.length },
    },
  },
  slot: { digest: digest.digest('hex'), mapped },
};

/** A disk as it was flashed: boot state, stamp, slot A; rubbish in slot B. */
export function diskBytes(state = flashedState): Buffer {
  const disk = Buffer.alloc(11 * mebibyte, 0x55);
  const [first] = stamp.disk.bootState;
  encodeBootState(state).copy(disk, first.start);
  Buffer.from(sealStamp(stamp, siteKeys.privateKey)).copy(disk, stampOffset);
  slotBytes.copy(disk, stamp.disk.slots.a.start);
  return disk;
}

export const config: AgentConfig = {
  version: 1,
  site: 'quickstart',
  edgekiln: '0.1.0',
  port: 80,
  k3s: { version: 'v1.36.4+k3s1', standIn: false },
};

export const bootRecord = {
  flash: stamp.flash,
  slot: 'A',
  seq: 3,
  disk: '/dev/vda',
  data: { state: 'mounted', detail: '' },
  problems: [],
};

/** Files by absolute path; undefined leaves one out. */
export type DeviceFiles = Readonly<Record<string, string | Uint8Array | undefined>>;

/** Makes the folder of a whole device, with some of its files changed, and returns its path. */
export async function makeDevice(changed: DeviceFiles = {}): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'edgekiln-device-'));
  const files: DeviceFiles = {
    [agentConfigFile]: renderAgentConfig(config),
    [siteKeyFile]: siteKeys.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    [persistFile]: renderPersist(defaultPersist),
    '/etc/os-release': 'NAME=Debian\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n',
    '/etc/hosts': '127.0.0.1 localhost\n::1 localhost\n',
    '/etc/machine-id': '0123456789abcdef0123456789abcdef\n',
    '/run/edgekiln/boot.json': JSON.stringify(bootRecord),
    '/run/edgekiln/stamp': sealStamp(stamp, siteKeys.privateKey),
    '/dev/vda': diskBytes(),
    '/proc/cmdline': 'quiet ro edgekiln.slot=a\n',
    '/proc/sys/vm/drop_caches': '0',
    '/run/edgekiln/data/lost+found/.keep': '',
    '/proc/sys/kernel/hostname': 'localhost',
    '/sys/class/tty/console/active': 'tty0 ttyS0\n',
    '/dev/tty0': '',
    '/dev/ttyS0': '',
    '/sys/class/net/eth0/carrier': '1\n',
    ...changed,
  };
  for (const [path, bytes] of Object.entries(files)) {
    if (bytes === undefined) continue;
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), bytes);
  }
  return root;
}
