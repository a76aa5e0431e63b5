// The reference of the profile's keys, as Markdown, made from the schema.
import type { z } from 'zod';
import { profileJsonSchema } from './schema/profile.ts';

type JsonSchema = z.core.JSONSchema.BaseSchema;

const introduction = `# The profile

One YAML file describes a site. \`edgekiln init\` writes one to start from, \`edgekiln validate\` shows all that is wrong
with one, and \`edgekiln schema\` prints its JSON Schema, which editors use to complete and check while you type.

- YAML 1.2, one document, UTF-8. Anchors and aliases may be used; tags and merge keys (\`<<\`) may not.
- Keys are strict: one that is not listed here is an error.
- Paths are relative to the profile. One that leads out of its folder must be in a folder that \`folders\` names.
- Sizes are written with KiB, MiB or GiB, permissions as four octal digits in quotes.
- A key in **bold** must be there. Values behind "default" hold where the key is left out.

\`profiles/shop.yaml\` is a commented one to start from.

## Where it ends up

| key | on a device |
|---|---|
| \`lan\` | networkd's \`80-edgekiln-lan.network\`; fixed addresses in \`/etc/edgekiln/addresses\` by place, taken at boot. With more than one port, name the one of the LAN in \`lan.interface\`: a fixed address goes to every port that matches |
| \`lan.dns\` | \`/etc/resolv.conf\`, kept up to date with what networkd knows |
| \`lan.ntp\` | systemd-timesyncd, by way of networkd |
| \`lan.proxy\` | \`/etc/edgekiln/proxy.env\`, read by k3s and the agent |
| \`registries\` | \`/etc/rancher/k3s/registries.yaml\`, for root alone |
| \`units\` | \`/etc/systemd/system\`, with the links that \`systemctl enable\` would make |
| \`persist\` | a folder of the data partition, mounted over the one in the image; \`copy\` is for files in /etc and /var |
| \`limits.journal\` | journald |
| \`k3s.config\`, \`servers\`, \`network\`, labels, taints, other \`limits\` | \`/etc/edgekiln/agent.json\`: the agent makes k3s's configuration of it |

## How much fits

A slot must hold the image and a quarter more: the next image may be larger. Data must hold the next image, k3s unpacked (200 MiB),
the container images (five times what their archives take, packed by zstd), the datastore (512 MiB), the journal and the logs of 30 containers,
and be no fuller than \`limits.images.high\` with all of that. A build shows the figures, writes them to \`manifest.json\`, and ends with
exit code 2 where something does not fit.

This page is made from the schema: \`npx vitest run builder/profile/reference.test.ts -u\`.
`;

/** The whole page. */
export function profileReference(): string {
  return `${introduction}\n${sections(profileJsonSchema(), '').join('\n')}`;
}

/** A section for a map of keys, then for each map below it. */
function sections(schema: JsonSchema, path: string, summary = ''): string[] {
  const keys = Object.entries(schema.properties ?? {}).flatMap(([key, value]) =>
    typeof value === 'object' ? [{ key, value }] : [],
  );
  const required = new Set(schema.required);
  const rows = keys.map(({ key, value }) => {
    const name = required.has(key) ? `**\`${key}\`**` : `\`${key}\``;
    const text = [value.description, defaultOf(value)].filter((part) => part !== undefined).join(' ');
    return `| ${name} | ${form(value)} | ${escapeCell(text)} |`;
  });
  const title = path === '' ? '## Keys' : `## \`${path}\``;
  const lines = [title, '', ...(path === '' ? [] : [summary, ''])];
  const here = [...lines, '| key | form | |', '|---|---|---|', ...rows, ''].join('\n');
  const below = keys.flatMap(({ key, value }) => {
    const inner = mapIn(value, path === '' ? key : `${path}.${key}`);
    return inner === undefined ? [] : sections(inner.schema, inner.path, value.description);
  });
  return [here, ...below];
}

/** The map of keys that a value is, or that a list or a free map is made of, with the path that says so. */
function mapIn(schema: JsonSchema, path: string): { schema: JsonSchema; path: string } | undefined {
  if (schema.properties !== undefined) return { schema, path };
  const { items, additionalProperties } = schema;
  if (typeof items === 'object' && !Array.isArray(items)) return mapIn(items, `${path}[]`);
  if (typeof additionalProperties === 'object') return mapIn(additionalProperties, `${path}.*`);
  return undefined;
}

/** The form of a value in a few words. */
function form(schema: JsonSchema): string {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (schema.properties !== undefined) return 'keys, see below';
  if (schema.type === 'array') {
    const { items } = schema;
    const of = typeof items === 'object' && !Array.isArray(items) ? form(items) : 'any';
    return of === 'keys, see below' ? 'list of keys, see below' : `list of ${of}`;
  }
  if (schema.type === 'object') {
    const of = schema.additionalProperties;
    return typeof of === 'object' && of.properties !== undefined
      ? 'names with keys, see below'
      : 'names with values';
  }
  if (schema.type === 'integer') return `${schema.minimum} to ${schema.maximum}`;
  if (schema.type === 'boolean') return '`true` or `false`';
  if (schema.type === 'string') return 'text';
  return 'text, number, `true`, `false` or a list';
}

/** Defaults that say something: not that of a map whose keys have their own. */
function defaultOf(schema: JsonSchema): string | undefined {
  const { default: value } = schema;
  if (value === undefined || typeof value === 'object') return undefined;
  return `Default: \`${String(value)}\`.`;
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|');
}
