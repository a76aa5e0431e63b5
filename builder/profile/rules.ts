// What one key cannot say alone. Rules look only at values that are right in themselves, so all run whatever else is wrong.
import { z } from 'zod';
import { type Finding, printPath, valueAt } from './finding.ts';
import { type Network, overlap, parseNetwork, printNetwork } from './network.ts';
import type { KeyPath } from './source.ts';

/** A view of the written values that leaves out those that are wrong in themselves. */
interface Look {
  has(path: KeyPath): boolean;
  text(path: KeyPath): string | undefined;
  number(path: KeyPath): number | undefined;
  flag(path: KeyPath): boolean | undefined;
  /** Paths of a list's items. */
  items(path: KeyPath): readonly KeyPath[];
}

type Rule = (look: Look) => readonly Finding[];

/** All that the rules find in `data`; `wrong` are the paths the schema refused. */
export function checkRules(data: unknown, wrong: readonly KeyPath[]): Finding[] {
  const refused = new Set(wrong.map(printPath));
  const at = (path: KeyPath): unknown => (refused.has(printPath(path)) ? undefined : valueAt(data, path));
  const look: Look = {
    has: (path) => valueAt(data, path) !== undefined,
    text: (path) => z.string().safeParse(at(path)).data,
    number: (path) => z.number().safeParse(at(path)).data,
    flag: (path) => z.boolean().safeParse(at(path)).data,
    items: (path) => {
      const list = valueAt(data, path);
      return Array.isArray(list) ? list.map((_, index) => [...path, index]) : [];
    },
  };
  return rules.flatMap((rule) => rule(look));
}

const oneBase: Rule = (look) => {
  if (!look.has(['base'])) return [];
  return exactlyOne(look, ['base'], ['debian', 'tarball']);
};

const oneK3s: Rule = (look) => {
  if (!look.has(['k3s'])) return [];
  const found = [...exactlyOne(look, ['k3s'], ['release', 'file', 'standIn'])];
  const [file, sha256] = [look.has(['k3s', 'file']), look.has(['k3s', 'sha256'])];
  if (file && !sha256)
    found.push({ at: ['k3s', 'file'], what: 'k3s.file needs k3s.sha256', fix: 'sha256sum FILE' });
  if (sha256 && !file)
    found.push({ at: ['k3s', 'sha256'], key: true, what: 'k3s.sha256 belongs to k3s.file' });
  return found;
};

const boards: Rule = (look) => {
  if (look.has(['board'])) return [];
  const without = look.items(['devices']).filter((item) => !look.has([...item, 'board']));
  const first = without[0];
  if (first === undefined) return [];
  const why = `${without.length} of the devices name none, and the profile has no board for all`;
  return [
    {
      at: first,
      what: `${printPath(first)} has no board`,
      why,
      fix: 'add a line at the top: board: qemu-x86_64',
    },
  ];
};

const uniqueNames: Rule = (look) => [
  ...unique(look, ['devices'], 'name', 'a device is known by its name'),
  ...unique(look, ['users'], 'name', 'a login name belongs to one user'),
];

const founder: Rule = (look) => {
  const policy = look.text(['formation', 'policy']);
  const path: KeyPath = ['formation', 'founder'];
  const name = look.text(path);
  if (policy === 'designated' && !look.has(path)) {
    const what = 'formation.policy designated needs formation.founder';
    return [{ at: ['formation', 'policy'], what, fix: 'add founder: with the name of a device' }];
  }
  if (policy !== undefined && policy !== 'designated' && look.has(path)) {
    const why = `with policy ${policy} no device is named beforehand`;
    return [{ at: path, key: true, what: 'formation.founder goes with policy designated only', why }];
  }
  if (name === undefined) return [];
  if (policy === undefined && !look.has(['formation', 'policy'])) {
    const what = 'formation.founder goes with policy designated only';
    return [{ at: path, key: true, what, fix: 'add policy: designated' }];
  }
  const device = look.items(['devices']).find((item) => look.text([...item, 'name']) === name);
  if (device === undefined) {
    const names = look.items(['devices']).flatMap((item) => look.text([...item, 'name']) ?? []);
    return [
      { at: path, what: `formation.founder: no device is called ${name}`, why: `devices are ${list(names)}` },
    ];
  }
  if (look.flag([...device, 'eligible']) !== false) return [];
  const why = `${printPath(device)} says eligible: false`;
  return [{ at: path, what: `formation.founder: ${name} may not become a server`, why }];
};

/** Three servers are worth having only where one failure cannot take two of them. */
const servers: Rule = (look) => {
  const path: KeyPath = ['servers', 'count'];
  const count = look.number(path);
  const devices = look.items(['devices']);
  const eligible = devices.filter((item) => look.flag([...item, 'eligible']) !== false);
  if (devices.length > 0 && eligible.length === 0) {
    return [{ at: ['devices'], what: 'no device may become a server', why: 'all say eligible: false' }];
  }
  if (count !== undefined && eligible.length < count) {
    const why = `${eligible.length} of the devices ${eligible.length === 1 ? 'is' : 'are'} eligible`;
    return [{ at: path, what: `servers.count: ${count} servers need ${count} eligible devices`, why }];
  }
  const domains = new Set(
    eligible.map((item) => look.text([...item, 'failureDomain']) ?? `alone:${printPath(item)}`),
  );
  if (count === 1 || eligible.length < 3 || domains.size >= 3) return [];
  const at = eligible.map((item): KeyPath => [...item, 'failureDomain']).find((item) => look.has(item)) ?? [
    'devices',
  ];
  return [
    {
      at,
      what: `the eligible devices are in ${domains.size === 1 ? 'one failure domain' : 'two failure domains'}`,
      why: 'three servers need three: with fewer, one failure takes the majority and the cluster stops',
      fix: 'spread the devices, or write servers: {count: 1}',
    },
  ];
};

const ranges: readonly { path: KeyPath; otherwise: string }[] = [
  { path: ['network', 'podCidr'], otherwise: '10.42.0.0/16' },
  { path: ['network', 'serviceCidr'], otherwise: '10.43.0.0/16' },
  { path: ['network', 'siteSubnet'], otherwise: '198.18.0.0/15' },
];

const overlaps: Rule = (look) => {
  const known = ranges.flatMap(({ path, otherwise }) => {
    const written = look.has(path);
    const network = parseNetwork(written ? (look.text(path) ?? '') : otherwise);
    return network === undefined ? [] : [{ path, network, written }];
  });
  return known.flatMap((later, index) =>
    known.slice(0, index).flatMap((earlier): Finding[] => {
      if (!overlap(earlier.network, later.network)) return [];
      const [at, other] = later.written ? [later, earlier] : [earlier, later];
      const what = `${nameRange(at)} and ${nameRange(other)} overlap`;
      return [{ at: at.path, what, why: 'a packet to the shared addresses could go two ways' }];
    }),
  );
};

const hostnames: Rule = (look) => {
  const pattern = look.has(['system', 'hostname']) ? look.text(['system', 'hostname']) : '{site}-{device}';
  const site = look.text(['site', 'name']);
  if (pattern === undefined || site === undefined) return [];
  return look.items(['devices']).flatMap((item): Finding[] => {
    const at: KeyPath = [...item, 'name'];
    const device = look.text(at);
    if (device === undefined) return [];
    const name = hostname(pattern, site, device);
    if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) return [];
    const why = `by the pattern ${pattern} it is called ${name}, and a host name has at most 63 characters`;
    return [
      {
        at,
        what: `${printPath(at)}: the host name is not a DNS label`,
        why,
        fix: 'shorten the name or system.hostname',
      },
    ];
  });
};

const rules: readonly Rule[] = [oneBase, oneK3s, boards, uniqueNames, founder, servers, overlaps, hostnames];

/** The host name of a device. */
export function hostname(pattern: string, site: string, device: string): string {
  return pattern.replace(/\{site\}/g, () => site).replace(/\{device\}/g, () => device);
}

function exactlyOne(look: Look, at: KeyPath, keys: readonly string[]): Finding[] {
  const there = keys.filter((key) => look.has([...at, key]));
  if (there.length === 1) return [];
  const why = `exactly one of ${list(keys)} is needed`;
  const second = there[1];
  if (second === undefined) return [{ at, what: `${printPath(at)} names none`, why }];
  return [
    { at: [...at, second], key: true, what: `${printPath(at)} has both ${there[0]} and ${second}`, why },
  ];
}

/** Items of a list that carry a name an earlier one has. */
function unique(look: Look, at: KeyPath, key: string, why: string): Finding[] {
  const first = new Map<string, KeyPath>();
  return look.items(at).flatMap((item): Finding[] => {
    const name = look.text([...item, key]);
    if (name === undefined) return [];
    const earlier = first.get(name);
    if (earlier === undefined) {
      first.set(name, item);
      return [];
    }
    const what = `${printPath([...item, key])}: ${name} is taken by ${printPath(earlier)}`;
    return [{ at: [...item, key], what, why, fix: 'give it another name' }];
  });
}

function nameRange(range: { path: KeyPath; network: Network; written: boolean }): string {
  return `${printPath(range.path)} ${printNetwork(range.network)}${range.written ? '' : ' (left out)'}`;
}

function list(words: readonly string[]): string {
  return words.join(', ');
}
