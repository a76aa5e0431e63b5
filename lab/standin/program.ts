// The k3s stand-in: what it is to whoever starts it. It gets only into images whose profile says
// `k3s: {standIn: true}`. What it keeps to of k3s: docs/k3s.md.
import { exitCode, exitCodeOf, renderError } from '../../formats/errors.ts';
import { runAgent } from './agent.ts';
import { runCommand } from './commands.ts';
import { version } from './node.ts';
import { readAgentOptions, readOptions } from './options.ts';
import { runServer } from './server.ts';

/** What `--version` says; whoever reads a version sees that this is no k3s. */
const announcement = `k3s version ${version} (DEMO: not k3s, runs no containers)`;

const explanation = `${announcement}

This program stands where k3s belongs, so that an image can be built and tried where k3s cannot be had.
It forms clusters as k3s does, but runs no containers. Build the image with a real k3s to run workloads.

  k3s server|agent [options]
  k3s token create|list|delete, k3s etcd-snapshot save, k3s kubectl get --raw PATH
`;

const [verb, ...args] = process.argv.slice(2);
try {
  if (verb === '--version' || verb === '-v') process.stdout.write(`${announcement}\n`);
  else if (verb === undefined || verb === '--help' || verb === '-h' || verb === 'help') {
    process.stdout.write(explanation);
  } else if (verb === 'server' || verb === 'agent') {
    process.stderr.write(`${announcement}\n`);
    process.on('SIGTERM', () => process.exit(0));
    process.on('SIGINT', () => process.exit(0));
    await (verb === 'server' ? runServer(readOptions(args)) : runAgent(readAgentOptions(args)));
  } else {
    const said = await runCommand(verb, args);
    if (said === undefined) {
      process.stderr.write(explanation);
      process.exitCode = exitCode.unsupported;
    } else process.stdout.write(`${said}\n`);
  }
} catch (error) {
  process.stderr.write(`level=fatal msg=${renderError(error)}\n`);
  process.exit(exitCodeOf(error));
}
