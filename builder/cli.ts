// The program `edgekiln`: one command line, run in this process.

import { exitCode } from '../formats/errors.ts';
import { runCommandLine } from './commands/frame.ts';
import { verbs } from './commands/verbs.ts';
import { version } from './installation.ts';

/** How long an interrupted verb has to tidy up: long enough for a package manager to end. Milliseconds. */
const patience = 60_000;

const leave = () => {
  process.stderr.write('interrupted before everything was tidied up\n');
  process.exit(exitCode.interrupted);
};
const interruption = new AbortController();
const interrupt = () => {
  if (interruption.signal.aborted) leave();
  interruption.abort();
  setTimeout(leave, patience).unref();
};
process.on('SIGINT', interrupt);
process.on('SIGTERM', interrupt);

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // A reader that had enough, such as `head`, is no error.
    if (error.code !== 'EPIPE') process.exit(exitCode.io);
  });
}

process.exitCode = await runCommandLine(process.argv.slice(2), verbs, {
  version,
  signal: interruption.signal,
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
});
