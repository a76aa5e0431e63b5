import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Failure, renderError } from '../../formats/errors.ts';
import { renderTemplate } from './template.ts';

const render = (source: string, data: Record<string, unknown>) => renderTemplate('t.hbs', source, data);
/** Text without NUL, which no shell word can hold. */
const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'));

describe('quoting', () => {
  it('gives a shell exactly the value', () => {
    const values = fc.sample(text, 60);
    const script = values.map((value) => render("printf '%s\\0' {{shell value}}\n", { value })).join('');
    const said = execFileSync('sh', { input: script });
    expect(said.toString('utf8').split('\0').slice(0, -1)).toEqual(values);
  });

  it('gives YAML exactly the value', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        expect(parse(render('a: {{yaml value}}\n', { value }))).toEqual({ a: value });
      }),
    );
  });

  it('keeps numbers apart', () => {
    expect(render('{{a}}{{b}}', { a: 1, b: 2 })).toBe('12');
  });

  it('escapes what systemd would expand', () => {
    expect(render('Environment={{systemd value}}', { value: 'a="50%" $HOME' })).toBe(
      'Environment="a=\\"50%%\\" $$HOME"',
    );
  });

  it('leaves HTML alone', () => {
    expect(render('{{ini value}}', { value: '<a & b>' })).toBe('<a & b>');
  });

  it('reaches into blocks', () => {
    expect(
      render('{{#each names}}[{{this}}]{{/each}}{{#if on}}{{shell on}}{{/if}}', {
        names: ['a', 'b'],
        on: "o'n",
      }),
    ).toBe("[a][b]'o'\\''n'");
  });
});

describe('refused', () => {
  const cases: [source: string, data: Record<string, unknown>, message: string][] = [
    [
      '{{value}}',
      { value: 'a b' },
      't.hbs: the template cannot be rendered: it needs quoting: use shell, yaml, ini or systemd',
    ],
    [
      '{{{value}}}',
      { value: '$(x)' },
      't.hbs: the template cannot be rendered: it needs quoting: use shell, yaml, ini or systemd',
    ],
    [
      '{{ini value}}',
      { value: 'a\nExecStart=x' },
      't.hbs: the template cannot be rendered: it holds a line break',
    ],
    ['{{systemd value}}', { value: 'a\nb' }, 't.hbs: the template cannot be rendered: it holds a line break'],
    ['{{missing}}', {}, 't.hbs: the template cannot be rendered: missing has no value'],
    ['{{constructor}}', {}, 't.hbs: the template cannot be rendered: constructor has no value'],
    ['{{shell list}}', { list: ['a'] }, 't.hbs: the template cannot be rendered: list is a list, not text'],
    ['{{> other}}', {}, 't.hbs: the template cannot be rendered: partials and decorators are not used here'],
  ];
  it.each(cases)('%s', (source, data, message) => {
    let caught: unknown;
    try {
      render(source, data);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(Failure);
    expect(renderError(caught).split('\n')[0]).toBe(message);
  });
});
