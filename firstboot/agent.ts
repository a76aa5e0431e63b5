// edgekiln-node: the one program on a device, service and command line.

import { errorAsJson, exitCode, exitCodeOf, Failure, renderError, systemFailure } from '../formats/errors.ts';
import type { Command } from './commands/command.ts';
import { fill } from './commands/fill.ts';
import { images } from './commands/images.ts';
import { kubeconfig } from './commands/kubeconfig.ts';
import { logs } from './commands/logs.ts';
import { reset } from './commands/reset.ts';
import { resolve } from './commands/resolve.ts';
import { run } from './commands/run.ts';
import { slots } from './commands/slots.ts';
import { status } from './commands/status.ts';

const commands: readonly Command[] = [status, slots, logs, kubeconfig, images, resolve, reset, fill, run];

const usage = `edgekiln-node: the agent of this device

${commands.map(({ name, summary }) => `  ${name.padEnd(11)} ${summary}`).join('\n')}

  edgekiln-node VERB --help says more. Exit codes: 0 ok, 1 bug, 2 invalid input, 3 unsupported, 4 environment,
  5 dependency, 6 I/O, 130 interrupted.
`;

/** Runs one verb; returns the exit code. */
async function main([verb, ...args]: readonly string[]): Promise<number> {
  try {
    if (verb === undefined || verb === 'help' || verb === '--help' || verb === '-h') {
      process.stdout.write(usage);
      return exitCode.ok;
    }
    const command = commands.find(({ name }) => name === verb);
    if (command === undefined) {
      const fix = `choose one of: ${commands.map(({ name }) => name).join(', ')}`;
      throw new Failure('input', { what: `there is no verb '${verb}'`, fix });
    }
    if (args.includes('--help') || args.includes('-h')) {
      process.stdout.write(`edgekiln-node ${command.name}: ${command.summary}\n\n${command.help}\n`);
      return exitCode.ok;
    }
    await command.run(args);
    return exitCode.ok;
  } catch (thrown) {
    const error = asFailure(thrown, verb);
    if (args.includes('--json')) process.stdout.write(`${JSON.stringify(errorAsJson(error), null, 2)}\n`);
    process.stderr.write(`${renderError(error)}\n`);
    return exitCodeOf(error);
  }
}

/** A wrong option is the caller's to mend, a closed door root's, a full or broken medium the device's: none is a bug. */
function asFailure(error: unknown, verb: string | undefined): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  const code = String(error.code);
  if (error instanceof TypeError && code.startsWith('ERR_PARSE_ARGS'))
    return new Failure('input', { what: error.message, fix: 'see --help' });
  if (code === 'EACCES' || code === 'EPERM') {
    const fix = `sudo edgekiln-node ${verb} …`;
    return new Failure('environment', { what: 'only root may do this', why: error.message, fix }, error);
  }
  return systemFailure(error) ?? error;
}

process.exitCode = await main(process.argv.slice(2));
