// The document says what the code does; the code keeps to what the core may use.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { stateDiagram, transitionTable } from './diagram.ts';
import * as timings from './timings.ts';

const document = readFileSync(new URL('../../docs/formation.md', import.meta.url), 'utf8');

describe('docs/formation.md', () => {
  it('shows the states as the code has them', () => {
    expect(document).toContain(`\`\`\`mermaid\n${stateDiagram()}\n\`\`\``);
    expect(document).toContain(transitionTable());
  });
  it('lists every timing with its value in seconds', () => {
    for (const [name, value] of Object.entries(timings)) {
      const seconds = value / 1000;
      expect(document, name).toContain(`| \`${name}\` | ${seconds} |`);
    }
  });
});

describe('the core', () => {
  const files = readdirSync(new URL('.', import.meta.url)).filter((name) => /^[a-z0-9-]+\.ts$/.test(name));
  it.each(files)('%s uses no clock, timer, randomness, file or socket', (name) => {
    const source = readFileSync(new URL(name, import.meta.url), 'utf8');
    expect(source).not.toMatch(
      /\bDate\b|\bperformance\b|Math\.random|randomBytes|randomUUID|getRandomValues/,
    );
    expect(source).not.toMatch(/setTimeout|setInterval|node:(fs|net|dgram|tls|http|child_process|timers)/);
  });
});
