// What is laid over a base and its programs: overlays, accounts, the site's public facts, and the profile's own files.
import { join } from 'node:path';
import { z } from 'zod';
import {
  type AgentConfig,
  agentConfigFile,
  renderAgentConfig,
  siteKeyFile,
} from '../../formats/agentconfig.ts';
import { Failure } from '../../formats/errors.ts';
import { defaultPersist, parsePersist, persistFile, renderPersist } from '../../formats/persist.ts';
import type { Stage } from '../pipeline/stage.ts';
import { addPeople } from '../tree/accounts.ts';
import { storedFile, symlink, unitEntries } from '../tree/contents.ts';
import type { Entry } from '../tree/entry.ts';
import type { LanTemplate } from '../tree/lan.ts';
import { openLayers, writeLayer } from '../tree/layer.ts';
import { localeEntries } from '../tree/locale.ts';
import { fileEntry, readOverlay } from '../tree/overlay.ts';
import { readEntry } from '../tree/read.ts';
import type { Tree } from '../tree/tree.ts';

const schema = z.strictObject({
  agent: z.custom<AgentConfig>(),
  sitePublicKey: z.string(),
  users: z.array(
    z.strictObject({
      name: z.string(),
      sshKeys: z.array(z.string()),
      passwordHash: z.string().optional(),
      sudo: z.boolean(),
    }),
  ),
  timezone: z.string(),
  locale: z.string(),
  /** Lines of persist.conf beside the default ones. */
  persist: z.string(),
  /** Most that the journal may hold, as journald.conf has it. */
  journal: z.string(),
  lan: z.custom<LanTemplate>(),
  /** Fixed addresses by place, and the environment behind a proxy; '' where there is none. */
  addresses: z.string(),
  proxy: z.string(),
  /** registries.yaml of k3s. The salt keeps what manifests say of this option from telling a password. */
  registries: z.strictObject({ text: z.string(), salt: z.string() }).optional(),
  /** A file without text is the input `file PATH`. */
  files: z.array(
    z.strictObject({
      path: z.string(),
      text: z.string().optional(),
      mode: z.int(),
      uid: z.int(),
      gid: z.int(),
    }),
  ),
  units: z.array(z.strictObject({ name: z.string(), text: z.string(), enable: z.boolean() })),
  /** Seconds since 1970: the time of every file that is made here. */
  epoch: z.int(),
});

export type TreeOptions = z.output<typeof schema>;

/** The inputs are the base's folder and files of this machine; `tree.tar` in the result goes over the base. */
export type TreeInputs = Readonly<Record<'base' | 'overlay' | 'lan' | `file ${string}`, string>> & {
  readonly locales?: string;
};

export const tree: Stage<TreeOptions, TreeInputs> = {
  name: 'tree',
  summary: 'lays overlays, configuration and accounts over the base',
  version: 6,
  schema,
  async run(options, inputs, workshop) {
    const base = openLayers([join(inputs.base, 'base.tar')]);
    refuseUnfit(base);
    refuseFolders(base, options.files);
    const { epoch, journal } = options;
    await writeLayer(join(workshop.result, 'tree.tar'), [
      ...(await readOverlay(inputs.overlay, { journal }, epoch)),
      ...(await readOverlay(inputs.lan, { ...options.lan }, epoch)),
      ...configuration(options),
      ...accounts(base, options),
      ...(await ownFiles(options, inputs)),
      ...unitEntries(options.units, base, epoch),
      ...keptFolders(base, options),
      ...(inputs.locales === undefined
        ? []
        : await localeEntries(inputs.locales, options.locale, epoch, workshop.signal)),
      kernelLink(base, epoch),
    ]);
    base.close();
  },
};

/** A file of the profile over a folder of the base would take all that is in it away. */
export function refuseFolders(base: Tree, files: readonly { readonly path: string }[]): void {
  const problems = files
    .filter(({ path }) => base.get(path.slice(1))?.kind === 'directory')
    .map(({ path }) => ({
      what: `files: ${path} is a folder of the base, not a file`,
      why: 'the file would take the place of all that is in it',
      fix: `write the name of the file, too: path: ${path}/NAME`,
    }));
  if (problems.length > 0) throw new Failure('input', problems);
}

/** The files of the profile. */
async function ownFiles({ files, epoch: mtime }: TreeOptions, inputs: TreeInputs): Promise<Entry[]> {
  return Promise.all(
    files.map(async ({ path, text, mode, uid, gid }) => {
      const attributes = { mode, uid, gid, mtime };
      if (text !== undefined) return fileEntry(path.slice(1), text, attributes);
      const file = inputs[`file ${path}`];
      if (file === undefined) throw new Error(`there is no input for ${path}`);
      return storedFile(path.slice(1), file, attributes);
    }),
  );
}

/** Folders that are kept are mounted over the slot's, which nobody can make on a device. */
function keptFolders(base: Tree, { persist, epoch: mtime }: TreeOptions): Entry[] {
  return parsePersist(persist)
    .filter(({ kind, path }) => kind === 'dir' && base.get(path.slice(1)) === undefined)
    .map(({ path, mode, uid, gid }) => ({ kind: 'directory', path: path.slice(1), mode, uid, gid, mtime }));
}

/** What the agent and the initrd call on a device. */
const needed = [
  'usr/bin/node',
  'usr/sbin/init',
  'usr/sbin/e2fsck',
  'usr/sbin/mke2fs',
  'usr/sbin/resize2fs',
  'usr/sbin/sfdisk',
  'usr/bin/partx',
];

/** A base from elsewhere may lack what a device cannot do without, and hold what no image should. */
export function refuseUnfit(base: Tree): void {
  for (const { path, kind } of base.entries()) {
    if ((kind !== 'char' && kind !== 'block') || path.startsWith('dev/')) continue;
    throw new Failure('input', {
      what: `the base holds a device node outside of /dev: /${path}`,
      why: 'who may read it reads a disk or memory past all permissions',
      fix: 'make the base without it; the kernel fills /dev at every start',
    });
  }
  const lacking = needed.filter((path) => base.get(path) === undefined);
  if (lacking.length === 0) return;
  throw new Failure('input', {
    what: `the base lacks ${lacking.map((path) => `/${path}`).join(', ')}`,
    why: 'the agent and the start of the system need them',
    fix: 'put the packages nodejs, systemd-sysv, e2fsprogs, fdisk and util-linux into the base',
  });
}

function configuration(options: TreeOptions): Entry[] {
  const { epoch: mtime, timezone } = options;
  const persist = renderPersist([...defaultPersist, ...parsePersist(options.persist)]);
  const text = (path: string, content: string): Entry =>
    fileEntry(path.slice(1), content, { mode: 0o644, mtime });
  return [
    text(agentConfigFile, renderAgentConfig(options.agent)),
    text(siteKeyFile, options.sitePublicKey),
    text(persistFile, persist),
    text('/etc/locale.conf', `LANG=${options.locale}\n`),
    text('/etc/timezone', `${timezone}\n`),
    symlink('etc/localtime', `/usr/share/zoneinfo/${timezone}`, mtime),
    // The root is mounted by the initrd; nothing else is mounted from a list.
    text('/etc/fstab', ''),
    ...(options.addresses === '' ? [] : [text('/etc/edgekiln/addresses', options.addresses)]),
    ...(options.proxy === '' ? [] : [text('/etc/edgekiln/proxy.env', options.proxy)]),
    ...(options.registries === undefined
      ? []
      : [fileEntry('etc/rancher/k3s/registries.yaml', options.registries.text, { mode: 0o600, mtime })]),
  ];
}

function accounts(base: Tree, options: TreeOptions): Entry[] {
  const { users, epoch: mtime } = options;
  const read = (path: string): string => readEntry(base, path).toString('utf8');
  const before = { passwd: read('etc/passwd'), shadow: read('etc/shadow'), group: read('etc/group') };
  const people = users.map(({ name, passwordHash }) => ({
    name,
    ...(passwordHash === undefined ? {} : { passwordHash }),
  }));
  const made = addPeople(before, people, Math.floor(mtime / 86_400));
  const shadowGroup = base.get('etc/shadow')?.gid ?? 0;
  return [
    fileEntry('etc/passwd', made.passwd, { mode: 0o644, mtime }),
    fileEntry('etc/group', made.group, { mode: 0o644, mtime }),
    fileEntry('etc/shadow', made.shadow, { mode: 0o640, gid: shadowGroup, mtime }),
    ...users.flatMap((user, index) => {
      const account = made.accounts[index];
      if (account === undefined) return [];
      const { uid, gid } = account;
      const home = account.home.slice(1);
      const folder = (path: string): Entry => ({ kind: 'directory', path, mode: 0o700, uid, gid, mtime });
      const keys = user.sshKeys.map((key) => `${key}\n`).join('');
      const sudo = `${user.name} ALL=(ALL:ALL) ${user.passwordHash === undefined ? 'NOPASSWD: ' : ''}ALL\n`;
      return [
        folder(home),
        // In the slot, not at home: an update may add and revoke keys.
        fileEntry(`etc/ssh/authorized_keys.d/${user.name}`, keys, { mode: 0o644, mtime }),
        ...(user.sudo
          ? [fileEntry(`etc/sudoers.d/edgekiln-${user.name}`, sudo, { mode: 0o440, mtime })]
          : []),
      ];
    }),
  ];
}

/** The kernel under the name that bootloaders ask for: the newest of the base. */
function kernelLink(base: Tree, mtime: number): Entry {
  return symlink('boot/vmlinuz', `vmlinuz-${kernelVersion(base)}`, mtime);
}

/** The version of the newest kernel of a base. */
export function kernelVersion(base: Tree): string {
  const versions: string[] = [];
  for (const { path } of base.entries()) {
    const found = /^boot\/vmlinuz-(.+)$/.exec(path)?.[1];
    if (found !== undefined) versions.push(found);
  }
  const newest = versions.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
  if (newest === undefined) {
    throw new Failure('input', {
      what: 'the base carries no kernel',
      why: 'there is no /boot/vmlinuz-VERSION in it',
      fix: 'put a kernel package into the base',
    });
  }
  return newest;
}
