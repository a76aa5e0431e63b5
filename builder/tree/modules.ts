// Which kernel modules an initrd needs, and in which order: from the text of modules.dep and modules.builtin.

export interface ModuleFile {
  /** Path below the kernel's module folder, such as `kernel/fs/ext4/ext4.ko.xz`. */
  readonly path: string;
  readonly options: string;
}

export interface ModulePlan {
  /** Every module after those it needs. */
  readonly load: readonly ModuleFile[];
  /** Asked for, not optional, and neither a module nor built in. */
  readonly missing: readonly string[];
}

/**
 * Orders modules for `insmod`. `dependencies` is the text of modules.dep (`path: needed paths`, the last needed one
 * first), `builtin` that of modules.builtin (a path a line). Names may use `-` or `_`, as the kernel takes them alike.
 */
export function planModules(
  wanted: readonly { readonly name: string; readonly options?: string; readonly optional?: boolean }[],
  dependencies: string,
  builtin: string,
): ModulePlan {
  const needs = new Map<string, readonly string[]>();
  const pathOf = new Map<string, string>();
  for (const line of dependencies.split('\n')) {
    const [path, rest] = line.split(':');
    if (!path || rest === undefined) continue;
    needs.set(path, rest.split(' ').filter(Boolean));
    pathOf.set(moduleName(path), path);
  }
  const inKernel = new Set(builtin.split('\n').filter(Boolean).map(moduleName));
  const options = new Map(wanted.map((module) => [moduleName(module.name), module.options ?? '']));
  const load: ModuleFile[] = [];
  const planned = new Set<string>();
  const missing: string[] = [];

  const plan = (path: string): void => {
    if (planned.has(path)) return;
    planned.add(path);
    for (const needed of [...(needs.get(path) ?? [])].reverse()) plan(needed);
    load.push({ path, options: options.get(moduleName(path)) ?? '' });
  };

  for (const module of wanted) {
    const name = moduleName(module.name);
    const path = pathOf.get(name);
    if (path !== undefined) plan(path);
    else if (!inKernel.has(name) && module.optional !== true) missing.push(module.name);
  }
  return { load, missing };
}

/** `kernel/drivers/net/virtio_net.ko.xz` → `virtio_net`. */
function moduleName(path: string): string {
  const file = path.slice(path.lastIndexOf('/') + 1);
  return file.replace(/\.ko(\.(xz|zst|gz))?$/, '').replaceAll('-', '_');
}
