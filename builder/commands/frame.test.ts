import { expect, it } from 'vitest';
import { Failure } from '../../formats/errors.ts';
import { type Listed, runCommandLine, type Verb } from './frame.ts';

const greet: Verb = {
  examples: ['edgekiln greet anna'],
  register(command, act) {
    command
      .argument('<name>', 'whom')
      .option('--loud', 'in capitals')
      .action(
        act(async (session, name: string, options: { loud?: boolean }) => {
          session.say('about to greet');
          if (name === 'nobody') throw new Failure('io', { what: 'nobody is there', where: 'here' });
          if (name === 'bug') throw new TypeError('oh');
          if (name === 'full')
            throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC', path: '/srv/a' });
          if (name === 'stop') throw new Error('torn down');
          const text = options.loud === true ? name.toUpperCase() : name;
          return {
            text: `hello ${text}`,
            data: { version: 1, name: text },
            ...(name === 'sick' ? { exit: 4 } : {}),
          };
        }),
      );
  },
};

const nested: Verb = {
  examples: ['edgekiln room open'],
  register(command, act) {
    const result = { text: 'open', data: { version: 1, open: true } };
    command
      .command('open')
      .description('open it')
      .action(act(async () => result));
  },
};

const loaded: string[] = [];
const list = (name: string, verb: Verb): Listed => ({
  name,
  summary: `the verb ${name}`,
  load: async () => {
    loaded.push(name);
    return { verb };
  },
});
const verbs = [list('greet', greet), list('room', nested)];

async function run(args: string, signal = new AbortController().signal) {
  loaded.length = 0;
  let out = '';
  let err = '';
  const exit = await runCommandLine(args.split(' ').filter(Boolean), verbs, {
    version: '1.2.3',
    signal,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { exit, out, err };
}

it('puts the result on stdout and talk on stderr', async () => {
  expect(await run('greet anna --loud')).toEqual({ exit: 0, out: 'hello ANNA\n', err: 'about to greet\n' });
});

it.each(['greet --json anna', '--json greet anna', 'greet anna --json'])(
  'prints JSON for %s',
  async (args) => {
    const { exit, out } = await run(args);
    expect(exit).toBe(0);
    expect(JSON.parse(out)).toEqual({ version: 1, name: 'anna' });
  },
);

it('gives a result that is bad news its exit code', async () => {
  expect(await run('greet sick')).toMatchObject({ exit: 4, out: 'hello sick\n' });
});

it('shows failures on stderr, and on stdout as JSON', async () => {
  const talk = 'about to greet\n';
  expect(await run('greet nobody')).toEqual({ exit: 6, out: '', err: `${talk}here: nobody is there\n` });
  const { exit, out, err } = await run('greet nobody --json');
  expect({ exit, err }).toEqual({ exit: 6, err: talk });
  expect(JSON.parse(out)).toEqual({
    version: 1,
    error: { kind: 'io', exit: 6, problems: [{ what: 'nobody is there', where: 'here' }] },
  });
});

it('takes what the system says of a medium for what it is', async () => {
  expect(await run('greet full')).toEqual({
    exit: 6,
    out: '',
    err: 'about to greet\n/srv/a: there is no space left to write to\n  because: ENOSPC: no space left\n  to do: free some space there, or choose another place\n',
  });
});

it('calls what is no failure a bug', async () => {
  const { exit, err } = await run('greet bug');
  expect(exit).toBe(1);
  expect(err).toMatch(/this is a bug in edgekiln.*\nTypeError: oh\n {4}at /);
});

it('says interrupted for whatever fails after Ctrl-C', async () => {
  expect(await run('greet stop', AbortSignal.abort())).toMatchObject({
    exit: 130,
    err: 'about to greet\ninterrupted\n',
  });
});

it.each([
  ['gret anna', "unknown command 'gret'\n  to do: did you mean greet?\n"],
  ['greet anna --lowd', "unknown option '--lowd'\n  to do: did you mean --loud?\n"],
  ['greet', "missing required argument 'name'\n  to do: see edgekiln --help\n"],
  [
    'greet a b',
    "too many arguments for 'greet'. Expected 1 argument but got 2.\n  to do: see edgekiln --help\n",
  ],
  ['room opn', "unknown command 'opn'\n  to do: did you mean open?\n"],
])('refuses %s', async (args, message) => {
  expect(await run(args)).toEqual({ exit: 2, out: '', err: message });
});

it('refuses as JSON, too', async () => {
  const { exit, out, err } = await run('gret --json');
  expect({ exit, err }).toEqual({ exit: 2, err: '' });
  expect(JSON.parse(out)).toMatchObject({ error: { kind: 'input', exit: 2 } });
});

it('loads no verb for its help, and one for that of the verb', async () => {
  const { exit, out } = await run('--help');
  expect(exit).toBe(0);
  expect(out).toContain('the verb greet');
  expect(loaded).toEqual([]);
  for (const args of ['greet --help', 'help greet']) {
    const help = await run(args);
    expect(help.exit).toBe(0);
    expect(help.out).toMatch(/--loud[\s\S]*--json[\s\S]*Example:\n {2}edgekiln greet anna\n/);
    expect(loaded).toEqual(['greet']);
  }
});

it('shows help and exits 2 where a verb is missing', async () => {
  for (const args of ['', 'room']) {
    const { exit, out, err } = await run(args);
    expect({ exit, out }).toEqual({ exit: 2, out: '' });
    expect(err).toContain('Usage: edgekiln');
  }
});

it('runs verbs of verbs and says its version', async () => {
  expect(await run('room open')).toMatchObject({ exit: 0, out: 'open\n' });
  expect(await run('--version')).toEqual({ exit: 0, out: 'edgekiln 1.2.3\n', err: '' });
});
