// The host name of the device and its line in /etc/hosts.
import { readFile, writeFile } from 'node:fs/promises';
import type { Paths } from './paths.ts';
import { replaceFile } from './replace.ts';

/** A name of one label: letters, digits and hyphens, at most 63. */
export function isHostName(name: string): boolean {
  return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name);
}

/** /etc/hosts with this name at 127.0.1.1, where Debian keeps it; other lines stay as they are. */
export function hostsWith(hosts: string, name: string): string {
  const others = hosts.split('\n').filter((line) => line !== '' && !/^127\.0\.1\.1\s/.test(line));
  const local = others.some((line) => /^127\.0\.0\.1\s/.test(line)) ? [] : ['127.0.0.1 localhost'];
  return `${[...local, ...others, `127.0.1.1 ${name}`].join('\n')}\n`;
}

/** Sets the kernel's host name (until the next boot) and the line in /etc/hosts. */
export async function setHostName(name: string, paths: Paths): Promise<void> {
  await writeFile(paths.hostName, name);
  const hosts = await readFile(paths.hosts, 'utf8').catch(() => '');
  const wanted = hostsWith(hosts, name);
  if (wanted !== hosts) await replaceFile(paths.hosts, Buffer.from(wanted), { mode: 0o644, uid: 0, gid: 0 });
}
