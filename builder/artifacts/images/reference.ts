// Names of container images, made equal: what people write, what archives say and what the kubelet asks for.
// Grammar: distribution/reference; the defaults are Docker's, which containerd and the kubelet follow.

/** A full name: `registry/repository`, and a tag or a digest or both. */
export interface ImageReference {
  /** With its registry, such as `docker.io/library/busybox`. */
  readonly repository: string;
  /** `latest` where neither tag nor digest is written. */
  readonly tag?: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest?: string;
}

const component = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const host = '(?:[A-Za-z0-9-]+(?:\\.[A-Za-z0-9-]+)*|\\[[0-9a-fA-F:]+\\])(?::[0-9]+)?';
const whole = new RegExp(
  `^(?:(${host})/)?(${component}(?:/${component})*)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$`,
);

/** Reads a name in any of its short forms; undefined when it is none. */
export function parseReference(text: string): ImageReference | undefined {
  const [all, first, rest = '', tag, digest] = whole.exec(text) ?? [];
  if (all === undefined) return undefined;
  // Without a dot, a port or this one name, what stands first is no registry but part of the repository.
  const registry = first !== undefined && (/[.:[]/.test(first) || first === 'localhost') ? first : undefined;
  const path = registry === undefined && first !== undefined ? `${first}/${rest}` : rest;
  if (registry === undefined && path !== path.toLowerCase()) return undefined;
  const docker = registry === undefined || registry === 'docker.io' || registry === 'index.docker.io';
  const repository = docker
    ? `docker.io/${path.includes('/') ? path : `library/${path}`}`
    : `${registry}/${path}`;
  return {
    repository,
    ...(tag !== undefined ? { tag } : digest === undefined ? { tag: 'latest' } : {}),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The full name as text. */
export function printReference({ repository, tag, digest }: ImageReference): string {
  return `${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}
