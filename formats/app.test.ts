import { expect, it } from 'vitest';
import { parseApp, renderApp, type SiteApp } from './app.ts';

const app: SiteApp = {
  version: 1,
  name: 'till',
  namespace: 'shop',
  objects: [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'prices' }, data: { bread: '3' } }],
};

it('survives the way to the device', () => {
  expect(parseApp(renderApp(app), 'till.json')).toEqual(app);
});

it.each([
  ['no JSON', '{', 'it is not a JSON object'],
  [
    'a later version',
    renderApp(app).replace('"version": 1', '"version": 2'),
    'its version is 2, this agent knows 1',
  ],
  ['no namespace', renderApp({ ...app, namespace: '' }), 'name or namespace is missing'],
  [
    'an object without a name',
    renderApp(app).replace('"name": "prices"', '"title": "prices"'),
    'objects is not a list of objects with apiVersion, kind and metadata.name',
  ],
])('%s is refused', (_, text, why) => {
  expect(() => parseApp(text, 'till.json')).toThrow(
    expect.objectContaining({
      kind: 'input',
      problems: [expect.objectContaining({ where: 'till.json', why })],
    }),
  );
});
