// What the builder must know of a board. Data only; one file a board.

/** A file out of a Debian package that is fetched, never installed. */
export interface PackagedFile {
  readonly package: string;
  /** Path in the package, without leading slash. */
  readonly path: string;
}

/** A kernel module the initrd loads, and its options. Those it depends on are found by the builder. */
export interface BoardModule {
  readonly name: string;
  readonly options?: string;
  /** The board boots without it: a kernel that does not carry it is accepted. */
  readonly optional?: boolean;
}

export interface Board {
  readonly name: string;
  /** One line for people. */
  readonly summary: string;
  /** Debian's word. */
  readonly architecture: 'amd64' | 'arm64' | 'armhf';
  readonly bootloader: {
    readonly kind: 'grub-efi';
    readonly shim: PackagedFile;
    readonly grub: PackagedFile;
    /** Names that the firmware and shim look for in EFI/BOOT. */
    readonly shimName: string;
    readonly grubName: string;
  };
  /** Debian package of the kernel. */
  readonly kernel: string;
  readonly modules: readonly BoardModule[];
  /** Kernel arguments: consoles. */
  readonly arguments: string;
  /** Which disk is used when two carry the same stamp; empty: a person decides. */
  readonly diskPreference: readonly string[];
  /** Bytes. */
  readonly layout: { readonly firstPartition: number; readonly esp: number; readonly slot: number };
  /** The smallest medium, in bytes. */
  readonly disk: number;
  /** 0 to 9; higher ones become servers first. */
  readonly hardware: number;
}
