// The k3s stand-in's first form: a program that only says what it is. It gets only into images whose profile says
// `k3s: {standIn: true}`.
import { exitCode } from '../../formats/errors.ts';

/** What `--version` says; whoever reads a version sees that this is no k3s. */
const version = 'k3s version v0.0.0+edgekiln-stand-in (DEMO: not k3s, runs no containers)';

const explanation = `${version}

This program stands where k3s belongs, so that an image can be built and tried where k3s cannot be had.
It cannot start a server or an agent yet. Build the image with a real k3s to run workloads.
`;

const [verb] = process.argv.slice(2);
if (verb === '--version' || verb === '-v') {
  process.stdout.write(`${version}\n`);
} else if (verb === undefined || verb === '--help' || verb === '-h' || verb === 'help') {
  process.stdout.write(explanation);
} else {
  process.stderr.write(explanation);
  process.exitCode = exitCode.unsupported;
}
