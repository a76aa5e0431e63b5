// The account files of a device: what the base has, with the profile's people added. Text in, text out.
// Format: passwd(5), shadow(5), group(5).
import { Failure } from '../../formats/errors.ts';

export interface Person {
  readonly name: string;
  /** As crypt(5) makes it; without one nobody logs in by password. */
  readonly passwordHash?: string;
}

export interface Accounts {
  readonly passwd: string;
  readonly shadow: string;
  readonly group: string;
}

export interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

const firstPerson = 1000;

/**
 * Adds people, each with a group of their own and the next free id from 1000 on, in the order given. root and every
 * account of the base are locked for passwords: vendor images come with well-known ones. `day` is the day of the last
 * change, counted from 1970.
 */
export function addPeople(
  base: Accounts,
  people: readonly Person[],
  day: number,
): Accounts & { readonly accounts: readonly Account[] } {
  const passwd = lines(base.passwd);
  const group = lines(base.group);
  const shadow = lines(base.shadow).map(lock);
  const names = new Set([...passwd, ...group].map((line) => line.split(':')[0]));
  const ids = new Set([...passwd, ...group].map((line) => Number(line.split(':')[2])));
  const accounts: Account[] = [];
  let id = firstPerson;
  for (const { name, passwordHash } of people) {
    if (names.has(name)) {
      throw new Failure('input', {
        what: `the base has an account named ${name} already`,
        fix: 'give the user of the profile another name',
      });
    }
    while (ids.has(id)) id++;
    ids.add(id);
    const home = `/home/${name}`;
    passwd.push(`${name}:x:${id}:${id}::${home}:/bin/bash`);
    group.push(`${name}:x:${id}:`);
    shadow.push(`${name}:${passwordHash ?? '*'}:${day}:0:99999:7:::`);
    accounts.push({ uid: id, gid: id, home });
  }
  return { passwd: text(passwd), shadow: text(shadow), group: text(group), accounts };
}

function lock(line: string): string {
  const [name, , ...rest] = line.split(':');
  return [name, '*', ...rest].join(':');
}

function lines(file: string): string[] {
  return file.split('\n').filter((line) => line !== '');
}

function text(list: readonly string[]): string {
  return list.map((line) => `${line}\n`).join('');
}
