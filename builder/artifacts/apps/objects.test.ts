import { expect, it } from 'vitest';
import { inOrder, objectsOf } from './objects.ts';

const names = (text: string) =>
  inOrder(objectsOf(text, 'shop.yaml')).map(({ kind, metadata }) => `${kind} ${metadata.name}`);

it('are all documents, lists taken apart, what others need first', () => {
  const text = `
apiVersion: v1
kind: ConfigMap
metadata: {name: prices}
---
# nothing here
---
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Secret, metadata: {name: till}}
  - {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: tills.example.com}
`;
  expect(names(text)).toEqual([
    'Namespace shop',
    'CustomResourceDefinition tills.example.com',
    'ConfigMap prices',
    'Secret till',
  ]);
});

it('keep the mode that kubectl would read', () => {
  const text =
    'apiVersion: v1\nkind: X\nmetadata: {name: x}\nspec: {mode: 0644, decimal: 0, at: 12:30, n: 10}\n';
  expect(objectsOf(text, 'x')[0]?.['spec']).toEqual({ mode: 0o644, decimal: 0, at: '12:30', n: 10 });
});

it('names all that is no object, by line', () => {
  const text = `just text
---
kind: ConfigMap
---
apiVersion: v1
metadata: {name: x}
---
{apiVersion: v1, kind: Pod, metadata: {generateName: x-}}
---
{apiVersion: v1, kind: Pod}
---
a: [1
`;
  expect(() => names(text)).toThrow(
    expect.objectContaining({
      kind: 'input',
      problems: [
        { what: 'this is no Kubernetes object', where: 'shop.yaml:1:1', why: 'it is not a map' },
        { what: 'this is no Kubernetes object', where: 'shop.yaml:3:1', why: 'it has no apiVersion' },
        { what: 'this is no Kubernetes object', where: 'shop.yaml:5:1', why: 'it has no kind' },
        {
          what: 'this is no Kubernetes object',
          where: 'shop.yaml:8:1',
          why: 'its name is generated: it would be made anew at every look; give it a name',
        },
        { what: 'this is no Kubernetes object', where: 'shop.yaml:10:1', why: 'it has no metadata.name' },
        expect.objectContaining({ what: 'this is not YAML', where: 'shop.yaml:13:1' }),
      ],
    }),
  );
});

it('merge keys and keys that are numbers are read as kubectl reads them', () => {
  const text = 'apiVersion: v1\nkind: X\nmetadata: {name: x}\nbase: &b {a: 1}\nspec: {<<: *b, 8: eight}\n';
  expect(objectsOf(text, 'x')[0]?.['spec']).toEqual({ a: 1, '8': 'eight' });
});

const named = (metadata: string, head = 'apiVersion: v1\nkind: Pod') => `${head}\nmetadata: ${metadata}\n`;
const nines = (word: string) => `[${Array(9).fill(word).join(',')}]`;
const bomb = 'bcdefgh'
  .split('')
  .map((letter, index) => `${letter}: &${letter} ${nines(`*${'abcdefg'[index]}`)}\n`);

it.each([
  [
    'aliases that expand to too much',
    `a: &a ${nines('x')}\n${bomb.join('')}`,
    'this is not YAML',
    'its aliases expand to too much',
  ],
  [
    'a chart’s template',
    named('{name: {{ .Values.name }}}'),
    'this is not YAML',
    expect.stringMatching(/keys must be/),
  ],
  [
    'a name that is a path',
    named('{name: ../../nodes/x}'),
    'this is no Kubernetes object',
    'nothing can be called ../../nodes/x',
  ],
  [
    'a namespace that is none',
    named('{name: a, namespace: Bad NS}'),
    'this is no Kubernetes object',
    'no namespace can be called "Bad NS"',
  ],
  [
    'a kind that is none',
    named('{name: a}', 'apiVersion: v1\nkind: a/b'),
    'this is no Kubernetes object',
    'there is no kind a/b',
  ],
  [
    'a version that is none',
    named('{name: a}', 'apiVersion: ../v1\nkind: Pod'),
    'this is no Kubernetes object',
    'there is no apiVersion ../v1',
  ],
])('%s', (_, text, what, why) => {
  expect(() => objectsOf(text, 'x.yaml')).toThrow(
    expect.objectContaining({ kind: 'input', problems: [expect.objectContaining({ what, why })] }),
  );
});

it.each([300, 1_000, 10_000, 100_000])('%i lists in one another', (levels) => {
  const text = `${named('{name: a}')}a: ${'['.repeat(levels)}${']'.repeat(levels)}\n`;
  const why = 'it is nested more than 200 levels deep';
  expect(() => objectsOf(text, 'x.yaml')).toThrow(
    expect.objectContaining({ kind: 'input', problems: [expect.objectContaining({ why })] }),
  );
});

it('what API servers have are objects', () => {
  const text = `${named('{name: "system:node:a.b"}', 'apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole')}---\n${named('{name: a, namespace: ""}')}---\n${named('{name: a, namespace: null}')}`;
  expect(objectsOf(text, 'x.yaml')).toHaveLength(3);
});
