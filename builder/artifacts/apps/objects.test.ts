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
