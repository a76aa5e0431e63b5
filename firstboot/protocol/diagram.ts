// The diagram of the phases, for docs/formation.md.
import { meaning, phases, transitions } from './phases.ts';

/** A mermaid state diagram of every phase and transition. */
export function stateDiagram(): string {
  const lines = phases.map((phase) => `  ${phase}: ${phase}<br/>${meaning[phase].replaceAll(';', ',')}`);
  const arrows = Object.values(transitions).map(
    ({ from, to, why }) => `  ${from} --> ${to}: ${why.replaceAll(':', ',')}`,
  );
  const starts = ['  [*] --> listening', '  [*] --> enrolling: claimed site'];
  return ['stateDiagram-v2', ...starts, ...lines, ...arrows].join('\n');
}

/** The transitions as a table, by name: what the log says. */
export function transitionTable(): string {
  const rows = Object.entries(transitions).map(
    ([name, { from, to, why }]) => `| ${name} | ${from} | ${to} | ${why} |`,
  );
  return ['| name | from | to | why |', '|---|---|---|---|', ...rows].join('\n');
}
