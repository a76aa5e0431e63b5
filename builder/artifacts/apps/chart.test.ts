// What is done around helm, with a shell script in its place; and, where EDGEKILN_HELM names a real one, that as well.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { renderChart } from './chart.ts';

const work = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** A program that prints a chart's one template, and what it was called with. */
const script = join(work, 'helm');
writeFileSync(script, '#!/bin/sh\necho "# $@" | grep -v password\n. "$3/render.sh"\n');
chmodSync(script, 0o755);

const object = (name: string, annotations = '') =>
  `---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}${annotations}}\n`;

function chart(name: string, files: Readonly<Record<string, string>>) {
  const path = join(work, name);
  mkdirSync(join(path, 'templates'), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  const common = { app: 'till', namespace: 'shop', kubernetes: '1.36.4', valuesFrom: undefined };
  return { ...common, path, values: { password: 'bread' } as Record<string, unknown> };
}

async function render(helm: string, of: Parameters<typeof renderChart>[1]) {
  const left: string[] = [];
  const options = { signal: new AbortController().signal, left: (hook: string) => left.push(hook) };
  const objects = await renderChart(helm, of, options);
  return { names: objects.map(({ metadata }) => metadata.name), left, objects };
}

it('hooks of an installation are kept, tests are dropped, others are told', async () => {
  const hook = (word: string) => `, annotations: {helm.sh/hook: "${word}"}`;
  const text = [
    object('plain'),
    object('before', hook('pre-install,pre-upgrade')),
    object('trial', hook('test')),
    object('end', hook('pre-delete')),
  ].join('');
  const { names, left } = await render(script, chart('hooks', { 'render.sh': `cat <<'E'\n${text}E\n` }));
  expect(names).toEqual(['plain', 'before']);
  expect(left).toEqual(['ConfigMap end (pre-delete)']);
});

it('one that is another each time is refused, and its secret is not told', async () => {
  const text = `cat <<E\n${object('plain')}data:\n  pass: $(od -An -N8 -tx8 /dev/urandom | tr -d ' ')\nE\n`;
  await expect(render(script, chart('drawn', { 'render.sh': text }))).rejects.toMatchObject({
    kind: 'input',
    problems: [
      {
        what: 'the chart of app till renders to something else each time',
        why: 'it draws at random or looks at the clock, for pass: every build would be another',
        fix: 'give the value it makes up in `values`',
      },
    ],
  });
});

it('what helm has to complain about is a fault of the chart', async () => {
  const broken = chart('broken', { 'render.sh': 'echo "Error: no such value" >&2; exit 1' });
  await expect(render(script, broken)).rejects.toMatchObject({
    kind: 'input',
    problems: [
      { what: 'the chart of app till cannot be rendered', where: broken.path, why: 'Error: no such value' },
    ],
  });
});

const real = process.env['EDGEKILN_HELM'] ?? '';

it.skipIf(real === '')('the real helm renders a chart with values, a definition and a helper', async () => {
  const files = {
    'Chart.yaml': 'apiVersion: v2\nname: till\nversion: 1.0.0\nkubeVersion: ">=1.30.0"\n',
    'values.yaml': 'image: shop/till:1\n',
    'extra.yaml': 'image: shop/till:2\nbread: rye\n',
    'templates/map.yaml': `apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-{{ .Values.bread }}, namespace: {{ .Release.Namespace }}}
data: {image: {{ .Values.image | quote }}, kube: {{ .Capabilities.KubeVersion.Version | quote }}}
`,
  };
  const good = chart('good', files);
  mkdirSync(join(good.path, 'crds'));
  const definition = object('tills.example.com').replace('ConfigMap', 'CustomResourceDefinition');
  writeFileSync(join(good.path, 'crds/till.yaml'), definition);
  const valuesFrom = join(good.path, 'extra.yaml');
  const { names, objects } = await render(real, { ...good, valuesFrom, values: { bread: 'white' } });
  expect(names).toEqual(['tills.example.com', 'till-white']);
  expect(objects[1]).toMatchObject({
    metadata: { namespace: 'shop' },
    data: { image: 'shop/till:2', kube: 'v1.36.4' },
  });
  writeFileSync(join(good.path, 'templates/map.yaml'), '{{ fail "prices are missing" }}');
  await expect(render(real, good)).rejects.toMatchObject({
    kind: 'input',
    problems: [{ why: expect.stringContaining('prices are missing') }],
  });
});
