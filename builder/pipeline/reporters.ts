// Ways of showing a build as it goes: lines for a log, one moving line for a terminal, JSON for programs.
import type { Reporter } from './runner.ts';

/** Writes a text to where talk goes: stderr. */
type Write = (text: string) => void;

/** Plain lines, one when a stage begins to work for long enough to be asked about, one when it ends. */
export function plainReporter(write: Write): Reporter {
  return {
    started: () => {},
    progress: () => {},
    say: (stage, line) => write(`${stage.padEnd(8)} ${line}\n`),
    finished: (stage, how) => write(`${finishedLine(stage, how)}\n`),
  };
}

/** One line that moves while a stage works; for terminals. */
export function terminalReporter(write: Write, now: () => number = () => performance.now()): Reporter {
  const clear = '\r\u001b[K';
  let drawn = 0;
  return {
    started: (stage, summary) => write(`${clear}${stage.padEnd(8)} ${summary} …`),
    progress: (stage, done, total) => {
      const moment = now();
      if (moment - drawn < 100) return;
      drawn = moment;
      const share = total > 0 ? `${Math.floor((100 * done) / total)} %`.padStart(5) : '';
      write(
        `${clear}${stage.padEnd(8)} ${share}  ${bytesText(done)}${total > 0 ? ` of ${bytesText(total)}` : ''}`,
      );
    },
    say: (stage, line) => write(`${clear}${stage.padEnd(8)} ${line}\n`),
    finished: (stage, how) => write(`${clear}${finishedLine(stage, how)}\n`),
  };
}

/** One JSON object a line: `{"version":1,"event":…,"stage":…}`. */
export function jsonReporter(write: Write): Reporter {
  const line = (event: string, stage: string, more: object): void =>
    write(`${JSON.stringify({ version: 1, event, stage, ...more })}\n`);
  return {
    started: (stage, summary) => line('started', stage, { summary }),
    progress: (stage, done, total) => line('progress', stage, { done, total }),
    say: (stage, text) => line('said', stage, { text }),
    finished: (stage, how) => line('finished', stage, how),
  };
}

function finishedLine(stage: string, how: Parameters<Reporter['finished']>[1]): string {
  const time = how.cached ? 'reused' : `${(how.milliseconds / 1000).toFixed(1)} s`;
  const size = how.bytes === undefined ? '' : `  ${bytesText(how.bytes)}`;
  return `${stage.padEnd(8)} ${time.padStart(8)}${size}`;
}

/** Bytes for people: 1536 → `1.5 KiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

/** Bytes as whole MiB, upwards: for figures that are compared. */
export function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 ** 2)} MiB`;
}
