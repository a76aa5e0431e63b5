// The device as people meet it: names, users, time, language.
import { z } from 'zod';
import { nearest } from '../nearest.ts';
import { label, text } from './fields.ts';

const sshKey = text(
  /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-[a-z0-9-]+@openssh\.com) [A-Za-z0-9+/]{40,}={0,2}( [^\n]*)?$/,
  'a public ssh key, one line such as ssh-ed25519 AAAA… name',
);

const user = z.strictObject({
  name: text(
    /^(?!root$)[a-z_][a-z0-9_-]{0,30}$/,
    'a login name: lowercase letters, digits, _ and -, at most 31, and not root',
  ).describe('Login name.'),
  sshKeys: z.array(sshKey).default([]).describe('Public keys that may log in.'),
  passwordHash: text(/^\$(y|6|5)\$[^\s:]+$/, 'a password hash as crypt(5) makes it, such as mkpasswd prints')
    .optional()
    .describe('Hash of a password for the console; ssh takes keys only. Left out: no password.'),
  sudo: z.boolean().default(false).describe('Whether the user may become root.'),
});

export const users = z
  .array(user)
  .default([])
  .describe('People who may log in. Left out: nobody can, and the status page is all there is.');

export const site = z
  .strictObject({ name: label('a site name').describe('Name of the site, unique in the fleet.') })
  .describe('The site: one LAN, one cluster.');

export const system = z
  .strictObject({
    hostname: text(
      /^([a-z0-9-]|\{site\}|\{device\})*\{device\}([a-z0-9-]|\{site\}|\{device\})*$/,
      'a pattern of lowercase letters, digits, hyphens, {site} and {device}, with {device} in it',
    )
      .default('{site}-{device}')
      .describe('Pattern of host and node names.'),
    timezone: z
      .string()
      .superRefine((name, context) => {
        if (isTimezone(name)) return;
        const meant = nearest(name, Intl.supportedValuesOf('timeZone'));
        const params = meant === undefined ? {} : { fix: `did you mean ${meant}?` };
        context.addIssue({ code: 'custom', message: 'a time zone such as Europe/Berlin or UTC', params });
      })
      .default('UTC')
      .describe('Time zone.'),
    locale: text(/^(C|[a-z]{2,3}_[A-Z]{2})\.UTF-8$/, 'a UTF-8 locale such as C.UTF-8 or de_DE.UTF-8')
      .default('C.UTF-8')
      .describe('Language and formats.'),
  })
  .prefault({})
  .describe('The device as people meet it.');

function isTimezone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
  } catch {
    return false;
  }
  // JavaScript forgives capitals; the file names of zones on a device do not.
  const alike = Intl.supportedValuesOf('timeZone').find((zone) => zone.toLowerCase() === name.toLowerCase());
  return alike === undefined ? /^[A-Z]/.test(name) : alike === name;
}
