// Rules on the devices: their boards and names, and who may become what.
import { type Finding, printPath } from '../finding.ts';
import { nearest } from '../nearest.ts';
import type { KeyPath } from '../source.ts';
import type { Rule } from './look.ts';

/** At most this many electors: more would not fit a certificate, nor add safety. */
const mostElectors = 7;

export const boards: Rule = (look) => {
  const devices = look.items(['devices']);
  const named = [['board'], ...devices.map((item) => [...item, 'board'])];
  const unknown = named.flatMap((at): Finding[] => {
    const name = look.text(at);
    if (name === undefined || look.boards.includes(name)) return [];
    const meant = nearest(name, look.boards);
    const why = `the boards are ${look.boards.join(', ')}`;
    const what = `${printPath(at)}: there is no board ${name}`;
    return [{ at, what, why, ...(meant === undefined ? {} : { fix: `did you mean ${meant}?` }) }];
  });
  const without = devices.filter((item) => look.value(item) !== null && !look.has([...item, 'board']));
  const first = without[0];
  if (look.has(['board']) || first === undefined) return unknown;
  const why = `${without.length} of the devices name none, and the profile has no board for all`;
  const fix = `add a line at the top: board: NAME, one of ${look.boards.join(', ')}`;
  return [...unknown, { at: first, what: `${printPath(first)} has no board`, why, fix }];
};

export const founder: Rule = (look) => {
  const policy = look.has(['formation', 'policy']) ? look.text(['formation', 'policy']) : 'first-online';
  const at: KeyPath = ['formation', 'founder'];
  if (policy === 'designated' && !look.has(at)) {
    const what = 'formation.policy designated needs formation.founder';
    return [{ at: ['formation', 'policy'], what, fix: 'add founder: with the name of a device' }];
  }
  if (policy !== undefined && policy !== 'designated' && look.has(at)) {
    const why = `with policy ${policy} no device is named beforehand`;
    const fix = 'write policy: designated, or remove the founder';
    return [{ at, key: true, what: 'formation.founder goes with policy designated only', why, fix }];
  }
  const name = look.text(at);
  if (name === undefined) return [];
  const names = look.items(['devices']).map((item) => look.text([...item, 'name']));
  const device = look.items(['devices'])[names.indexOf(name)];
  if (device === undefined) {
    const meant = nearest(
      name,
      names.filter((each) => each !== undefined),
    );
    const what = `formation.founder: no device is called ${name}`;
    return [{ at, what, ...(meant === undefined ? {} : { fix: `did you mean ${meant}?` }) }];
  }
  if (look.flag([...device, 'eligible']) !== false) return [];
  const why = `${printPath(device)} says eligible: false`;
  return [{ at, what: `formation.founder: ${name} may not become a server`, why }];
};

/** Only `first-online` knows a next generation: the other policies promise that there is never a second cluster. */
export const founderLoss: Rule = (look) => {
  const policy = look.text(['formation', 'policy']);
  const at: KeyPath = ['formation', 'onFounderLoss'];
  if (look.text(at) !== 'refound' || (policy !== 'majority' && policy !== 'designated')) return [];
  const why = `policy ${policy} promises that the site never has a second cluster`;
  const fix = 'write policy: first-online, or onFounderLoss: alarm';
  return [{ at, what: 'formation.onFounderLoss refound goes with policy first-online only', why, fix }];
};

/** Three servers are worth having only where one failure cannot take two of them. */
export const servers: Rule = (look) => {
  const at: KeyPath = ['servers', 'count'];
  const count = look.number(at);
  const devices = look.items(['devices']);
  const eligible = devices.filter((item) => look.flag([...item, 'eligible']) !== false);
  if (devices.length > 0 && eligible.length === 0) {
    return [{ at: ['devices'], what: 'no device may become a server', why: 'all say eligible: false' }];
  }
  if (count !== undefined && eligible.length < count) {
    const why = `${eligible.length} of the devices ${eligible.length === 1 ? 'is' : 'are'} eligible`;
    return [{ at, what: `servers.count: ${count} servers need ${count} eligible devices`, why }];
  }
  const domains = new Set(
    eligible.map((item) => look.text([...item, 'failureDomain']) ?? `alone:${printPath(item)}`),
  );
  if (count === 1 || eligible.length < 3 || domains.size >= 3) return [];
  const written = eligible.map((item): KeyPath => [...item, 'failureDomain']).find((item) => look.has(item));
  return [
    {
      at: written ?? ['devices'],
      what: `the eligible devices are in ${domains.size === 1 ? 'one failure domain' : 'two failure domains'}`,
      why: 'three servers need three: with fewer, one failure takes the majority and the cluster stops',
      fix: 'spread the devices, or write servers: {count: 1}',
    },
  ];
};

export const electors: Rule = (look) => {
  const chosen = look.items(['devices']).filter((item) => look.flag([...item, 'elector']) === true);
  const eighth = chosen[mostElectors];
  if (eighth === undefined) return [];
  const why = `at most ${mostElectors} devices decide who founds, and ${chosen.length} say elector: true`;
  return [{ at: [...eighth, 'elector'], what: `${printPath(eighth)} is one elector too many`, why }];
};

export const hostnames: Rule = (look) => {
  const path: KeyPath = ['system', 'hostname'];
  const pattern = look.has(path) ? look.text(path) : '{site}-{device}';
  const site = look.text(['site', 'name']);
  if (pattern === undefined || site === undefined) return [];
  return look.items(['devices']).flatMap((item): Finding[] => {
    const at: KeyPath = [...item, 'name'];
    const device = look.text(at);
    if (device === undefined) return [];
    const name = hostname(pattern, site, device);
    if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) return [];
    const what = `${printPath(at)}: ${name} cannot be a host name`;
    const why = `it comes of the pattern ${pattern}; a host name is a DNS label of at most 63 characters`;
    return [{ at, what, why, fix: 'shorten the name, or write system.hostname' }];
  });
};

/** Kubelet may label its own node with these names of Kubernetes only (NodeRestriction). */
const allowedLabels =
  /^(kubelet\.kubernetes\.io|node\.kubernetes\.io)\/|^topology\.kubernetes\.io\/(region|zone)$/;

export const nodeLabels: Rule = (look) =>
  look.items(['devices']).flatMap((item) =>
    look.entries([...item, 'labels']).flatMap((at): Finding[] => {
      const key = String(at.at(-1));
      if (!/(^|\.)(kubernetes|k8s)\.io\//.test(key) || allowedLabels.test(key)) return [];
      const why = 'a node that gives itself this label is refused by Kubernetes';
      return [
        { at, key: true, what: `${printPath([...item, 'labels'])}: ${key} is kept for Kubernetes`, why },
      ];
    }),
  );

/** The host name of a device. */
export function hostname(pattern: string, site: string, device: string): string {
  return pattern.replace(/\{(site|device)\}/g, (_, word: string) => (word === 'site' ? site : device));
}

/** Which devices are electors: those that say so; where none does, the first seven that do not refuse. */
export function chooseElectors(written: readonly (boolean | undefined)[]): boolean[] {
  if (written.includes(true)) return written.map((each) => each === true);
  let left = mostElectors;
  return written.map((each) => {
    if (each === false || left === 0) return false;
    left -= 1;
    return true;
  });
}
