// Rules on keys of which exactly one is needed, and on names that may be there once.
import { type Finding, printPath } from '../finding.ts';
import type { KeyPath } from '../source.ts';
import type { Look, Rule } from './look.ts';

export const oneBase: Rule = (look) => exactlyOne(look, ['base'], ['debian', 'tarball']);

export const oneK3s: Rule = (look) => {
  const found = [...exactlyOne(look, ['k3s'], ['release', 'file', 'standIn'])];
  const [file, sha256] = [look.has(['k3s', 'file']), look.has(['k3s', 'sha256'])];
  if (file && !sha256) {
    found.push({ at: ['k3s', 'file'], what: 'k3s.file needs k3s.sha256', fix: 'add what sha256sum prints' });
  }
  for (const key of ['sha256', 'images'].filter((each) => look.has(['k3s', each]) && !file))
    found.push({ at: ['k3s', key], key: true, what: `k3s.${key} belongs to k3s.file` });
  return found;
};

/** Files and units say what they hold, apps what they are. */
export const oneContent: Rule = (look) => [
  ...look.items(['files']).flatMap((item) => exactlyOne(look, item, ['content', 'from'])),
  ...look.items(['units']).flatMap((item) => exactlyOne(look, item, ['content', 'from'])),
  ...look.items(['apps']).flatMap((item) => exactlyOne(look, item, ['manifests', 'chart'])),
];

export const onceOnly: Rule = (look) => [
  ...unique(look, ['devices'], 'name', 'a device is known by its name'),
  ...unique(look, ['devices'], 'address', 'two devices with one address disturb each other'),
  ...unique(look, ['users'], 'name', 'a login name belongs to one user'),
  ...unique(look, ['apps'], 'name', 'an app is known by its name'),
  ...unique(look, ['files'], 'path', 'a path holds one file'),
  ...unique(look, ['units'], 'name', 'a unit is known by its name'),
  ...unique(look, ['persist'], 'path', 'a path is kept once'),
  ...uniqueWords(look, ['outputs']),
  ...uniqueWords(look, ['base', 'debian', 'packages']),
];

function exactlyOne(look: Look, at: KeyPath, keys: readonly string[]): Finding[] {
  const parent = look.value(at);
  if (typeof parent !== 'object' || parent === null) return [];
  const there = keys.filter((key) => look.has([...at, key]));
  if (there.length === 1) return [];
  const why = `exactly one of ${keys.join(', ')} is needed`;
  const second = there[1];
  if (second === undefined) return [{ at, what: `${printPath(at)} names none`, why }];
  const what = `${printPath(at)} has both ${there[0]} and ${second}`;
  return [{ at: [...at, second], key: true, what, why }];
}

/** Items of a list whose `key` is that of an earlier one. */
function unique(look: Look, at: KeyPath, key: string, why: string): Finding[] {
  return repeated(
    look,
    look.items(at).map((item) => [...item, key]),
  ).map(({ path, first, word }) => {
    const what = `${printPath(path)}: ${word} is taken by ${printPath(first.slice(0, -1))}`;
    return { at: path, what, why, fix: 'give it another one' };
  });
}

function uniqueWords(look: Look, at: KeyPath): Finding[] {
  return repeated(look, look.items(at)).map(({ path, word }) => {
    return { at: path, what: `${printPath(path)}: ${word} is there twice`, fix: 'remove one' };
  });
}

function repeated(look: Look, paths: readonly KeyPath[]): { path: KeyPath; first: KeyPath; word: string }[] {
  const seen = new Map<string, KeyPath>();
  return paths.flatMap((path) => {
    const word = look.text(path);
    const first = word === undefined ? undefined : seen.get(word);
    if (word !== undefined && first === undefined) seen.set(word, path);
    return word === undefined || first === undefined ? [] : [{ path, first, word }];
  });
}
