// GRUB's part on EFI machines: the script on the ESP. It reads the stamp for the disk's name, the two copies of the
// boot state for the slot, counts the attempt, and loads that slot's own kernel, initrd and arguments. The decision is
// `chooseSlot` of formats/bootstate.ts, said again in GRUB's language: no arithmetic, so counters are ladders.
import { stampOffset } from '../../formats/stamp.ts';

/** Where the two copies stand on the ESP. GRUB rewrites them in place; Linux writes their sectors, never the FAT. */
export const bootStateFiles = ['EFI/edgekiln/s0.env', 'EFI/edgekiln/s1.env'] as const;

/** Kernel arguments of this one device, `local_arguments`: for trials. Images do not have it; docs/boot.md. */
const localFile = 'EFI/edgekiln/local.env';

/** A slot's own kernel, initrd and arguments, as paths in the slot. */
export const slotFiles = {
  kernel: 'boot/vmlinuz',
  initrd: 'boot/initrd.img',
  /** A GRUB environment block with `kernel_arguments`: an update may change them. */
  environment: 'boot/kernel.env',
} as const;

export const slotEnvironmentSize = 1024;

const fields = 'seq primary a b left again';

/** The text of grub.cfg. `arguments` are kernel arguments of the board, such as its consoles. */
export function grubScript(boardArguments: string): string {
  return `# Written by edgekiln. The state's meaning: docs/boot.md.
set timeout=0
regexp --set=1:disk '^([^,]+),' "$root"

function stop {
  echo "edgekiln: $1"
  echo "edgekiln: trying again in a minute"
  sleep 60
  reboot
}

function successor {
${ladder('next', '$1', (digit) => (digit + 1) % 10)}
}

function read_copy {
  set seq=; set primary=; set a=; set b=; set left=; set again=
  set whole=no
  load_env -f "($root)/EFI/edgekiln/s$1.env" ${fields}
  if [ "$seq$primary$a$b$left" = "$again" ]; then
    if regexp '^[0-9][ab][gtb][gtb][0-9]$' "$again"; then set whole=yes; fi
  fi
}

# Counts this attempt in the older copy. save_env refuses one that is garbage: then "saved" is no, and the copy in force
# stays as it is: written in place, it would be torn by a power cut with no other left. The initrd mends the garbage.
function save_state {
  successor "$seq"
  set seq="$next"; set again="$next$primary$a$b$left"
  set saved=yes
  if save_env -f "($root)/EFI/edgekiln/s$overwrite.env" ${fields}; then true
  else set saved=no; fi
}

function boot_slot {
  if [ "$1" = "a" ]; then set part=gpt2; else set part=gpt3; fi
  # The device watches over a slot on trial: not confirmed in time, it starts again.
  set trial=
  if [ "$1" = "a" -a "$a" = "t" ]; then set trial=edgekiln.trial; fi
  if [ "$1" = "b" -a "$b" = "t" ]; then set trial=edgekiln.trial; fi
  set kernel_arguments=
  load_env -f "($disk,$part)/${slotFiles.environment}" kernel_arguments
  echo "edgekiln: slot $1"
  if linux "($disk,$part)/${slotFiles.kernel}" ${boardArguments} ro panic=10 gpt $kernel_arguments $local_arguments $trial edgekiln.flash=$flash_id edgekiln.slot=$1 edgekiln.seq=$seq; then
    if initrd "($disk,$part)/${slotFiles.initrd}"; then boot; fi
  fi
  echo "edgekiln: slot $1 cannot be loaded"
}

load_env -f "($disk)${stampOffset / 512}+2" flash_id place
if [ -z "$flash_id" ]; then stop "this disk carries no stamp: flash an image made for this device"; fi

set local_arguments=
if [ -f "($root)/${localFile}" ]; then load_env -f "($root)/${localFile}" local_arguments; fi

# Which copy rules: the successor of the other one; of two that do not follow, the first.
read_copy 0
set whole0="$whole"; set seq0="$seq"
read_copy 1
set overwrite=0
if [ "$whole0" = "yes" ]; then
  successor "$seq0"
  if [ "$whole" = "no" -o "$seq" != "$next" ]; then set overwrite=1; read_copy 0; fi
fi

if [ "$whole" = "no" ]; then
  echo "edgekiln: the boot state is lost"
  set a=; set b=
  boot_slot a
  boot_slot b
  stop "neither slot can be loaded"
fi

if [ "$primary" = "a" ]; then set other=b; set mine="$a"; set others="$b"; else set other=a; set mine="$b"; set others="$a"; fi
set usable=no
if [ "$mine" = "g" ]; then set usable=yes; fi
if [ "$mine" = "t" -a "$left" != "0" ]; then set usable=yes; fi

if [ "$usable" = "yes" -a "$left" != "0" ]; then
  set fewer="$left"
${ladder('fewer', '$left', (digit) => Math.max(0, digit - 1))}
  set left="$fewer"
  save_state
  # An attempt that cannot be counted might be tried for ever: then a trial slot waits.
  if [ "$mine" = "g" -o "$saved" = "yes" -o "$others" != "g" ]; then boot_slot "$primary"; fi
  if [ "$others" = "g" ]; then boot_slot "$other"; fi
elif [ "$usable" = "yes" -a "$others" != "g" ]; then
  boot_slot "$primary"
elif [ "$others" = "g" ]; then
  if [ "$mine" = "t" ]; then
    if [ "$primary" = "a" ]; then set a=b; else set b=b; fi
  fi
  set former="$primary"
  set primary="$other"
  set left=8
  save_state
  boot_slot "$other"
  boot_slot "$former"
else
  boot_slot "$primary"
  boot_slot "$other"
fi
stop "no slot can be loaded"
`;
}

/** An if-ladder that sets `name` to `of(digit)` for the digit that `value` holds. */
function ladder(name: string, value: string, of: (digit: number) => number): string {
  const rungs = Array.from({ length: 10 }, (_, digit) => {
    return `  ${digit === 0 ? 'if' : 'elif'} [ "${value}" = "${digit}" ]; then set ${name}=${of(digit)}`;
  });
  return `${rungs.join('\n')}\n  fi`;
}
