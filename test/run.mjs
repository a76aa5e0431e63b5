// The test command: sets the machine up, checks style and types, runs every suite, and closes with one line of counts.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What tests need beside the product's own programs: foreign checkers and a browser. None touches the network set-up. */
const packages = [
  ['mtools', 'mdir'],
  ['dosfstools', 'fsck.vfat'],
  ['e2fsprogs', 'debugfs'],
  ['fdisk', 'sfdisk'],
  ['cpio', 'cpio'],
  ['attr', 'getfattr'],
  ['libcap2-bin', 'getcap'],
  ['mount', 'losetup'],
  ['grub-common', 'grub-script-check'],
  ['bmap-tools', 'bmaptool'],
  ['unzip', 'unzip'],
  ['gnupg', 'gpg'],
  ['apt-utils', 'apt-ftparchive'],
  ['busybox-static', 'busybox'],
  ['openssl', 'openssl'],
  ['iproute2', 'ip'],
  ['iptables', 'iptables'],
  ['curl', 'curl'],
  ['skopeo', 'skopeo'],
  ['chromium', 'chromium'],
];

const root = join(import.meta.dirname, '..');
const failures = [];
let passed = 0;
let failed = 0;

step('programs of the tests', () => installMissing());
step('bundles', () => node('build.mjs'));
step("the product's own programs", () => node('dist/edgekiln.mjs', 'doctor', '--install'));
step('style', () => bin('biome', 'check', '.'));
step('types', () => bin('tsc', '--noEmit'));
suite('unit', 'vitest.config.ts');
suite('chains', 'test/chains.config.ts');
suite('sites', 'test/k3s/vitest.config.ts');

for (const failure of failures) console.error(`failed: ${failure}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

function step(name, work) {
  const began = performance.now();
  console.log(`== ${name}`);
  if (work()) passed++;
  else {
    failed++;
    failures.push(name);
  }
  console.log(`   ${((performance.now() - began) / 1000).toFixed(0)} s`);
}

/** Runs a suite and adds its counts; a suite that ends without a report counts as one failure. */
function suite(name, config) {
  const folder = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
  const report = join(folder, 'report.json');
  console.log(`== ${name}`);
  bin(
    'vitest',
    'run',
    '--config',
    config,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  );
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'));
    // A file that does not load has no tests to count.
    const broken = testResults.filter(
      (file) => file.status === 'failed' && file.assertionResults.length === 0,
    );
    passed += numPassedTests;
    failed += numFailedTests + broken.length;
    for (const file of testResults) {
      for (const test of file.assertionResults) if (test.status === 'failed') failures.push(test.fullName);
    }
    failures.push(...broken.map((file) => file.name));
  } catch {
    failed++;
    failures.push(`${name}: no report`);
  }
  rmSync(folder, { recursive: true });
}

function installMissing() {
  const lacking = packages.filter(
    ([, program]) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
  );
  if (lacking.length === 0) return true;
  const names = lacking.map(([name]) => name).join(' ');
  const line = `apt-get install -y --no-install-recommends ${names}`;
  if (process.getuid() !== 0) {
    console.error(`these are not installed: sudo ${line}`);
    return false;
  }
  if (
    run('apt-get', ['update', '-qq']) &&
    run('sh', ['-c', `DEBIAN_FRONTEND=noninteractive ${line} >/dev/null`])
  )
    return true;
  console.error(`this failed: ${line}`);
  return false;
}

function node(...args) {
  return run(process.execPath, args);
}

function bin(name, ...args) {
  return run(join('node_modules', '.bin', name), args);
}

function run(program, args) {
  return spawnSync(program, args, { cwd: root, stdio: 'inherit' }).status === 0;
}
