import { describe, expect, it } from 'vitest';
import { addPeople } from './accounts.ts';

const base = {
  passwd: 'root:x:0:0:root:/root:/bin/bash\npi:x:1000:1000::/home/pi:/bin/bash\n',
  shadow: 'root:$6$well$known:19000:0:99999:7:::\npi:raspberry:19000:0:99999:7:::\n',
  group: 'root:x:0:\npi:x:1000:\nsudo:x:27:pi\n',
};

describe('accounts', () => {
  it('gives people the next free ids', () => {
    const made = addPeople(base, [{ name: 'ada' }, { name: 'bob', passwordHash: '$y$hash' }], 20000);
    expect(made.passwd).toContain(
      'ada:x:1001:1001::/home/ada:/bin/bash\nbob:x:1002:1002::/home/bob:/bin/bash\n',
    );
    expect(made.shadow).toContain('ada:*:20000:0:99999:7:::\nbob:$y$hash:20000:0:99999:7:::\n');
    expect(made.accounts.map((account) => account.uid)).toEqual([1001, 1002]);
  });

  it('locks every account that the base brought', () => {
    const { shadow } = addPeople(base, [], 20000);
    expect(shadow).toBe('root:*:19000:0:99999:7:::\npi:*:19000:0:99999:7:::\n');
  });

  it('refuses a name that is taken', () => {
    expect(() => addPeople(base, [{ name: 'pi' }], 20000)).toThrow(
      'the base has an account named pi already',
    );
  });
});
