import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Failure } from '../../formats/errors.ts';
import { enablingLinks, unitFolder } from './units.ts';

function links(name: string, units: Record<string, string>) {
  return enablingLinks(name, (unit) => {
    const text = units[unit];
    return text === undefined ? undefined : { text, path: `/${unitFolder}/${unit}` };
  });
}

const service = '[Service]\nExecStart=/usr/bin/true\n';
const units: Record<string, Record<string, string>> = {
  'till.service': {
    'till.service': `[Unit]\nWantedBy=not-here.target\n${service}[Install]\nWantedBy=multi-user.target \\\n  graphical.target\nRequiredBy=shop.target\nAlias=desk.service\n`,
  },
  'late.timer': {
    'late.timer': `[Timer]\nOnBootSec=1\n[Install]\n# WantedBy=no.target\nWantedBy=wrong.target\nWantedBy=\nWantedBy=timers.target\nAlso=late.service\n`,
    'late.service': `${service}[Install]\nAlias=%p-too.service\n`,
  },
  'getty@.service': {
    'getty@.service': `${service}[Install]\nWantedBy=getty.target\nDefaultInstance=tty7\n`,
  },
  'feed@red.service': {
    'feed@red.service': `${service}[Install]\nWantedBy=%i-colour.target\n`,
  },
};

describe('enabling a unit', () => {
  it.each(Object.keys(units))('%s gets the links that systemctl makes', (name) => {
    const root = mkdtempSync(join(tmpdir(), 'edgekiln-units-'));
    try {
      const folder = join(root, unitFolder);
      mkdirSync(folder, { recursive: true });
      for (const [unit, text] of Object.entries(units[name] ?? {})) writeFileSync(join(folder, unit), text);
      execFileSync('systemctl', ['--root', root, 'enable', name], { stdio: 'pipe' });
      const made = readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isSymbolicLink())
        .map((entry) => join(entry.parentPath, entry.name))
        .map((path) => {
          // Newer versions of systemctl write relative links.
          const target = join(
            '/',
            readlinkSync(path).startsWith('/') ? '' : dirname(path).slice(root.length),
            readlinkSync(path),
          );
          return { path: path.slice(root.length + 1), target };
        })
        .sort((a, b) => (a.path < b.path ? -1 : 1));
      expect(made.length).toBeGreaterThan(0);
      expect(links(name, units[name] ?? {})).toEqual(made);
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  it('knows UpheldBy=, which systemctl does from 254 on', () => {
    expect(links('a.service', { 'a.service': '[Install]\nUpheldBy=shop.target\n' })).toEqual([
      { path: `${unitFolder}/shop.target.upholds/a.service`, target: `/${unitFolder}/a.service` },
    ]);
  });

  it.each<[string, string, string]>([
    ['a.service', service, 'its [Install] section names nothing that wants it'],
    [
      'a.service',
      '[Install]\nWantedBy=%H.target\n',
      '%H in its [Install] section is not known before it runs',
    ],
    [
      'a.service',
      '[Install]\nWantedBy=../../passwd\n',
      'its [Install] section names "../../passwd", which is not a unit',
    ],
    ['a.service', '[Install]\nAlso=b.socket\n', 'Also= names b.socket, and there is no such unit'],
    ['a.service', '[Install]\nAlias=a.timer\n', 'its alias a.timer does not end with .service'],
    [
      'a@.service',
      '[Install]\nWantedBy=x.target\n',
      'it is a template, and its [Install] section has no DefaultInstance=',
    ],
  ])('%s with %j is refused', (name, text, why) => {
    let thrown: unknown;
    try {
      links(name, { [name]: text });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(Failure);
    expect(thrown).toMatchObject({
      kind: 'input',
      problems: [{ what: `the unit ${name} cannot be enabled`, why }],
    });
  });
});
