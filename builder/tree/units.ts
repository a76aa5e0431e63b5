// What `systemctl enable` would do, without systemctl: the links that the [Install] section of a unit asks for.
// Format: systemd.unit(5), "[Install] Section Options" and "Specifiers"; systemd.syntax(7).
import { Failure } from '../../formats/errors.ts';

/** Where units of the profile are, as a path in the tree. */
export const unitFolder = 'etc/systemd/system';

/** A symbolic link: a path in the tree, and what it says. */
export interface UnitLink {
  readonly path: string;
  readonly target: string;
}

interface Install {
  readonly wantedBy: readonly string[];
  readonly requiredBy: readonly string[];
  readonly upheldBy: readonly string[];
  readonly alias: readonly string[];
  readonly also: readonly string[];
  readonly defaultInstance: string | undefined;
}

/** A unit as it is found: its text, and the absolute path on the device. */
export interface FoundUnit {
  readonly text: string;
  readonly path: string;
}

/**
 * The links that enable a unit and those it names with Also=. `find` gives a unit by name; undefined where there is
 * none, which is a Failure of kind input, as is a unit that says nothing about how it is enabled.
 */
export function enablingLinks(name: string, find: (name: string) => FoundUnit | undefined): UnitLink[] {
  const links = new Map<string, string>();
  const waiting = [name];
  const done = new Set<string>();
  for (let unit = waiting.pop(); unit !== undefined; unit = waiting.pop()) {
    if (done.has(unit)) continue;
    done.add(unit);
    const found = find(unit);
    if (found === undefined) throw refusal(name, `Also= names ${unit}, and there is no such unit`);
    const install = installOf(unit, found.text);
    const own = linksOf(unit, found.path, install);
    if (own.length === 0 && install.also.length === 0) {
      throw refusal(unit, 'its [Install] section names nothing that wants it');
    }
    for (const { path, target } of own) links.set(path, target);
    waiting.push(...install.also);
  }
  return [...links].map(([path, target]) => ({ path, target })).sort((a, b) => (a.path < b.path ? -1 : 1));
}

function linksOf(name: string, file: string, install: Install): UnitLink[] {
  const template = /^([^@]+@)(\.[a-z]+)$/.exec(name);
  const instance = install.defaultInstance;
  const enabled =
    template === null || instance === undefined ? name : `${template[1]}${instance}${template[2]}`;
  const wanted = [
    ...install.wantedBy.map((by) => `${by}.wants`),
    ...install.requiredBy.map((by) => `${by}.requires`),
    ...install.upheldBy.map((by) => `${by}.upholds`),
  ];
  if (wanted.length > 0 && template !== null && instance === undefined) {
    throw refusal(name, 'it is a template, and its [Install] section has no DefaultInstance=');
  }
  const ending = name.slice(name.lastIndexOf('.'));
  const misfit = install.alias.find((alias) => !alias.endsWith(ending));
  if (misfit !== undefined) throw refusal(name, `its alias ${misfit} does not end with ${ending}`);
  return [
    ...wanted.map((folder) => ({ path: `${unitFolder}/${folder}/${enabled}`, target: file })),
    ...install.alias
      .filter((alias) => alias !== name)
      .map((alias) => ({ path: `${unitFolder}/${alias}`, target: file })),
  ];
}

function installOf(name: string, text: string): Install {
  const lists = new Map<string, string[]>();
  for (const { key, value } of settings(text, 'Install')) {
    // An empty value takes back what came before.
    if (value === '') lists.delete(key);
    else lists.set(key, [...(lists.get(key) ?? []), ...value.split(/\s+/)]);
  }
  const words = (key: string) => (lists.get(key) ?? []).map((word) => unitName(name, word));
  return {
    wantedBy: words('WantedBy'),
    requiredBy: words('RequiredBy'),
    upheldBy: words('UpheldBy'),
    alias: words('Alias'),
    also: words('Also'),
    defaultInstance: lists.get('DefaultInstance')?.at(-1),
  };
}

/** The settings of one section, continued lines joined. */
function settings(text: string, section: string): { key: string; value: string }[] {
  const lines = text
    .split(/\r?\n/)
    .filter((line) => !/^\s*[#;]/.test(line))
    .join('\n')
    .replace(/\\\n/g, ' ')
    .split('\n');
  let here = '';
  return lines.flatMap((line) => {
    const head = /^\s*\[(.*)\]\s*$/.exec(line)?.[1];
    if (head !== undefined) here = head;
    const setting = /^\s*([A-Za-z]+)\s*=\s*(.*?)\s*$/.exec(line);
    if (here !== section || setting === null) return [];
    return [{ key: setting[1] ?? '', value: setting[2] ?? '' }];
  });
}

/** A name in [Install], its specifiers replaced by what they stand for. Those of the running machine are refused. */
function unitName(unit: string, word: string): string {
  const stem = unit.replace(/\.[a-z]+$/, '');
  const [prefix = '', instance = ''] = stem.split(/@(.*)/);
  const known: Readonly<Record<string, string>> = {
    '%': '%',
    n: unit,
    N: stem,
    p: prefix,
    i: instance,
    j: prefix.split('-').at(-1) ?? '',
  };
  const name = word.replace(/%(.)/g, (specifier, letter: string) => {
    const value = known[letter];
    if (value === undefined)
      throw refusal(unit, `${specifier} in its [Install] section is not known before it runs`);
    return value;
  });
  if (
    !/^[A-Za-z0-9:_.@\\-]+\.(service|socket|timer|path|mount|automount|swap|target|slice|device)$/.test(name)
  ) {
    throw refusal(unit, `its [Install] section names ${JSON.stringify(name)}, which is not a unit`);
  }
  return name;
}

function refusal(name: string, why: string): Failure {
  return new Failure('input', {
    what: `the unit ${name} cannot be enabled`,
    why,
    fix: 'write [Install] with WantedBy=multi-user.target into it, or enable: false into the profile',
  });
}
