import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type BootState,
  chooseCopy,
  chooseSlot,
  type SlotState,
  successor,
} from '../../formats/bootstate.ts';
import { grubScript } from './grub.ts';

const hasScriptCheck = spawnSync('grub-script-check', ['--version']).status === 0;

/**
 * GRUB's language is close enough to bash to run the script's decisions there, with its commands replaced: `load_env`
 * gives the copies of a case, `linux` fails as an unloadable kernel does, so that the whole order of slots shows.
 * What GRUB itself makes of the script is tested in a machine (test/chains).
 */
const shim = `
set() { local name="\${1%%=*}"; printf -v "$name" '%s' "\${1#*=}"; }
regexp() { if [[ "$1" == --set* ]]; then disk=hd0; return 0; fi; [[ "$2" =~ $1 ]]; }
load_env() {
  case "$2" in
    *s0.env) eval "$copy0" ;;
    *s1.env) eval "$copy1" ;;
    *6144+2*) flash_id=f ;;
  esac
}
save_env() { printf 'save %s %s%s%s%s%s %s;' "\${2: -5:1}" "$seq" "$primary" "$a" "$b" "$left" "$again"; case "$2" in *s[$broken].env) return 1;; esac; }
linux() {
  case "$1" in *gpt2*) printf 'a' ;; *gpt3*) printf 'b' ;; esac
  case "$*" in *edgekiln.trial*) printf ' on trial' ;; esac
  printf ';'; return 1
}
echo() { :; }
stop() { printf 'stop\\n'; }
sleep() { :; }
reboot() { :; }
`;

const code = { good: 'g', trial: 't', bad: 'b' } as const;

function assignments(state: BootState | undefined): string {
  if (state === undefined) return ':';
  const { seq, primary, a, b, left } = state;
  const again = `${seq}${primary}${code[a]}${code[b]}${left}`;
  return `seq=${seq} primary=${primary} a=${code[a]} b=${code[b]} left=${left} again=${again}`;
}

/** Runs the script once a case and gives a line a case: saves, then the slots in order, then stop. */
function runScript(
  cases: readonly { copies: readonly [BootState | undefined, BootState | undefined]; broken?: string }[],
) {
  const folder = mkdtempSync(join(tmpdir(), 'grub-'));
  const body = grubScript('console=ttyS0').replace(/function stop \{[^}]*\}/, '');
  const runs = cases.map(({ copies, broken }) => {
    const [copy0, copy1] = copies.map(assignments);
    return `copy0='${copy0}'; copy1='${copy1}'; broken='${broken ?? 'none'}'; disk=; root=hd0,gpt1; script`;
  });
  // \`stop\` must end the script: each case runs in a subshell.
  const file = join(folder, 'run.sh');
  writeFileSync(
    file,
    `${shim}\nscript() { (\nstop() { printf 'stop\\n'; exit; }\n${body}\n) }\n${runs.join('\n')}\n`,
  );
  const said = execFileSync('bash', [file], { encoding: 'utf8', maxBuffer: 1 << 26 });
  rmSync(folder, { recursive: true });
  return said.trimEnd().split('\n');
}

function expected(copies: readonly [BootState | undefined, BootState | undefined]): string {
  const { current, overwrite } = chooseCopy(copies);
  const { order, next } = chooseSlot(current);
  const all = next && `${next.seq}${next.primary}${code[next.a]}${code[next.b]}${next.left}`;
  const save = all === undefined ? '' : `save ${overwrite} ${all} ${all};`;
  const said = next ?? current;
  return `${save}${order.map((slot) => `${slot}${said?.[slot] === 'trial' ? ' on trial' : ''};`).join('')}stop`;
}

function everyState(seq: number): BootState[] {
  const states: readonly SlotState[] = ['good', 'trial', 'bad'];
  return (['a', 'b'] as const).flatMap((primary) =>
    states.flatMap((a) =>
      states.flatMap((b) => Array.from({ length: 10 }, (_, left) => ({ seq, primary, a, b, left }))),
    ),
  );
}

describe('the boot script', () => {
  it('decides as the model does, for every state', () => {
    const cases = [0, 4, 9].flatMap((seq) =>
      everyState(seq).map((state) => ({ copies: [state, undefined] as [BootState, undefined] })),
    );
    expect(runScript(cases)).toEqual(cases.map(({ copies }) => expected(copies)));
  });

  it('takes the newer of two copies and overwrites the older, wherever they stand', () => {
    const cases = everyState(0).flatMap((old, index) => {
      const before = { ...old, seq: index % 10 };
      const after: BootState = { seq: successor(before.seq), primary: 'a', a: 'good', b: 'good', left: 5 };
      return [
        { copies: [before, after] as const },
        { copies: [after, before] as const },
        { copies: [before, before] as const },
        { copies: [undefined, before] as const },
      ];
    });
    expect(runScript(cases)).toEqual(cases.map(({ copies }) => expected(copies)));
  });

  it('tries both slots when the state is lost', () => {
    expect(runScript([{ copies: [undefined, undefined] }])).toEqual(['a;b;stop']);
  });

  it('never writes the only whole copy: a good slot is booted uncounted where the other copy cannot be written', () => {
    const good: BootState = { seq: 3, primary: 'a', a: 'good', b: 'good', left: 4 };
    expect(runScript([{ copies: [good, undefined], broken: '1' }])).toEqual(['save 1 4agg3 4agg3;a;b;stop']);
    expect(runScript([{ copies: [undefined, good], broken: '0' }])).toEqual(['save 0 4agg3 4agg3;a;b;stop']);
  });

  it('does not boot a trial slot whose attempt it cannot count', () => {
    const trial: BootState = { seq: 3, primary: 'b', a: 'good', b: 'trial', left: 3 };
    expect(runScript([{ copies: [trial, undefined], broken: '1' }])).toEqual(['save 1 4bgt2 4bgt2;a;stop']);
    expect(runScript([{ copies: [{ ...trial, a: 'bad' }, undefined], broken: '1' }])).toEqual([
      'save 1 4bbt2 4bbt2;b on trial;stop',
    ]);
  });

  it.skipIf(!hasScriptCheck)('is the language that GRUB accepts', () => {
    execFileSync('grub-script-check', [], { input: grubScript('console=ttyS0') });
  });
});
