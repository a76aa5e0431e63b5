// persist.conf: what lasts over a boot, though /etc and /var are gone with every one of them.
//
// One line a path: `dir|copy PATH MODE UID:GID`, fields parted by single blanks, `#` lines and empty lines are for
// people. A `dir` is bind-mounted from data; a `copy` is copied in before PID 1 and written back by the agent.
// The initrd reads the same file in busybox ash with `while read -r kind path mode owner`: so there is no quoting,
// no comment behind a line, and a path has only letters, digits and `._@+/-`.
import { Failure, type Problem } from './errors.ts';

export interface PersistLine {
  readonly kind: 'dir' | 'copy';
  /** Absolute, no trailing slash. */
  readonly path: string;
  /** Permission bits, 0 to 0o7777; what a path that data does not hold yet is made with. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Where the list is on a device. */
export const persistFile = '/etc/edgekiln/persist.conf';

/** Folder on the data filesystem below which every persisted path lies under its own full path. */
export const persistFolder = 'persist';

const root = { uid: 0, gid: 0 };

/** What every device keeps; a profile's own folders are added behind. */
export const defaultPersist: readonly PersistLine[] = [
  { kind: 'copy', path: '/etc/machine-id', mode: 0o444, ...root },
  { kind: 'copy', path: '/etc/ssh/ssh_host_ed25519_key', mode: 0o600, ...root },
  { kind: 'copy', path: '/etc/ssh/ssh_host_ed25519_key.pub', mode: 0o644, ...root },
  { kind: 'dir', path: '/home', mode: 0o755, ...root },
  { kind: 'dir', path: '/root', mode: 0o700, ...root },
  { kind: 'dir', path: '/etc/rancher/node', mode: 0o700, ...root },
  { kind: 'dir', path: '/var/lib/rancher', mode: 0o755, ...root },
  { kind: 'dir', path: '/var/lib/kubelet', mode: 0o750, ...root },
  { kind: 'dir', path: '/var/lib/cni', mode: 0o755, ...root },
  { kind: 'dir', path: '/var/lib/rauc', mode: 0o700, ...root },
  { kind: 'dir', path: '/var/lib/edgekiln', mode: 0o700, ...root },
  { kind: 'dir', path: '/var/lib/systemd', mode: 0o755, ...root },
  { kind: 'dir', path: '/var/log', mode: 0o755, ...root },
  { kind: 'dir', path: '/var/tmp', mode: 0o1777, ...root },
];

/** The list as the text of persist.conf. */
export function renderPersist(lines: readonly PersistLine[]): string {
  const text = lines.map(
    ({ kind, path, mode, uid, gid }) =>
      `${kind} ${path} ${mode.toString(8).padStart(4, '0')} ${uid}:${gid}\n`,
  );
  return `# What lasts over a boot: dir|copy PATH MODE UID:GID\n${text.join('')}`;
}

/** Reads a list; an `input` failure names every bad line as `FILE:LINE`. */
export function parsePersist(text: string, file = persistFile): PersistLine[] {
  const lines: PersistLine[] = [];
  const problems: Problem[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#')) continue;
    const read = parseLine(line);
    const wrong = typeof read === 'string' ? read : clash(read, lines);
    if (wrong !== undefined) problems.push({ what: wrong, where: `${file}:${index + 1}`, fix: form });
    else if (typeof read !== 'string') lines.push(read);
  }
  if (problems.length > 0) throw new Failure('input', problems);
  return lines;
}

const form = 'write `dir|copy PATH MODE UID:GID`, such as `dir /var/lib/myapp 0750 0:0`';
const highestId = 0xfffffffe;

function parseLine(line: string): PersistLine | string {
  const [kind, path, mode, owner, ...rest] = line.split(' ');
  if (path === undefined || mode === undefined || owner === undefined || rest.length > 0) {
    return 'a line has four fields parted by single blanks';
  }
  if (kind !== 'dir' && kind !== 'copy') return `'${kind}' is neither dir nor copy`;
  const wrong = wrongPath(path);
  if (wrong !== undefined) return wrong;
  if (!/^[0-7]{4}$/.test(mode)) return `'${mode}' is not a mode of four octal digits`;
  const ids = /^(\d{1,10}):(\d{1,10})$/.exec(owner);
  const [uid, gid] = [Number(ids?.[1] ?? Number.NaN), Number(ids?.[2] ?? Number.NaN)];
  if (!(uid <= highestId && gid <= highestId)) return `'${owner}' is not UID:GID in numbers`;
  return { kind, path, mode: Number.parseInt(mode, 8), uid, gid };
}

function wrongPath(path: string): string | undefined {
  if (!/^(\/[A-Za-z0-9._@+-]+)+$/.test(path)) {
    return `'${path}' is not an absolute path of letters, digits and ._@+-`;
  }
  if (path.split('/').some((part) => part === '.' || part === '..')) return `'${path}' holds . or ..`;
  return undefined;
}

/** A path in a kept folder is kept already, and mounting one over the other would hide it. */
function clash(line: PersistLine, before: readonly PersistLine[]): string | undefined {
  for (const other of before) {
    if (other.path === line.path) return `${line.path} is listed twice`;
    if (inside(line, other)) return `${line.path} is inside of ${other.path}, which is kept already`;
    if (inside(other, line)) return `${line.path} holds ${other.path}, which is listed before it`;
  }
  return undefined;
}

function inside(inner: PersistLine, outer: PersistLine): boolean {
  return outer.kind === 'dir' && inner.path.startsWith(`${outer.path}/`);
}
