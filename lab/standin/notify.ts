// Tells systemd that the unit is up. Node has no datagram sockets of the file system, systemd-notify has.
import { spawn } from 'node:child_process';

export function notifyReady(): void {
  if (process.env['NOTIFY_SOCKET'] === undefined) return;
  const told = spawn('systemd-notify', ['--ready', `--pid=${process.pid}`], { stdio: 'ignore' });
  told.on('error', () => process.stderr.write('systemd-notify is missing\n'));
}
