// The few fields of an Ethernet frame that a switch looks at, and the addresses a frame gives away.

/** Bytes of destination, source and type. */
const headerLength = 14;

/** Addresses as lower-case hexadecimal with colons. */
export interface Header {
  readonly destination: string;
  readonly source: string;
  readonly type: number;
  /** Broadcast or multicast: to be flooded. */
  readonly group: boolean;
}

/** The header, or undefined for what no switch forwards: too short, or with a group as its source. */
export function headerOf(frame: Buffer): Header | undefined {
  if (frame.length < headerLength || (frame.readUInt8(6) & 1) === 1) return undefined;
  return {
    destination: hardwareAddress(frame, 0),
    source: hardwareAddress(frame, 6),
    type: frame.readUInt16BE(12),
    group: (frame.readUInt8(0) & 1) === 1,
  };
}

/** 01:80:c2:00:00:00 to 0f: between bridges only, never forwarded (IEEE 802.1D 7.12.6). */
export function isLinkConstrained(destination: string): boolean {
  return destination.startsWith('01:80:c2:00:00:0');
}

/** An answer of a DHCPv4 server: UDP from port 67, first fragment. */
export function isDhcpAnswer(frame: Buffer): boolean {
  return dhcpAnswer(frame) !== undefined;
}

/** What a DHCPv4 server gave for good (an ACK, RFC 2131): the address, and the Ethernet address of who got it. */
export function leaseOf(frame: Buffer): { readonly address: string; readonly hardware: string } | undefined {
  const message = dhcpAnswer(frame);
  if (message === undefined || message.length < 240 || message.readUInt8(0) !== 2) return undefined;
  for (let at = 240; at + 2 < message.length; ) {
    const option = message.readUInt8(at);
    if (option === 255) break;
    if (option === 53) {
      const acknowledged = message.readUInt8(at + 2) === 5;
      const address = [...message.subarray(16, 20)].join('.');
      return acknowledged && address !== '0.0.0.0'
        ? { address, hardware: hardwareAddress(message, 28) }
        : undefined;
    }
    at += option === 0 ? 1 : 2 + message.readUInt8(at + 1);
  }
  return undefined;
}

/** The payload of a UDP packet from port 67. */
function dhcpAnswer(frame: Buffer): Buffer | undefined {
  if (frame.length < headerLength + 28 || frame.readUInt16BE(12) !== 0x0800) return undefined;
  const fragment = frame.readUInt16BE(headerLength + 6) & 0x1fff;
  if (frame.readUInt8(headerLength + 9) !== 17 || fragment !== 0) return undefined;
  const udp = headerLength + (frame.readUInt8(headerLength) & 0x0f) * 4;
  const fromServer = frame.length >= udp + 8 && frame.readUInt16BE(udp) === 67;
  return fromServer ? frame.subarray(udp + 8) : undefined;
}

/** The sender's own address where a frame shows it: IPv4 in ARP (not in a probe), IPv6 in ICMPv6. */
export function senderOf(frame: Buffer): string | undefined {
  if (frame.length < headerLength) return undefined;
  const type = frame.readUInt16BE(12);
  if (type === 0x0806 && frame.length >= headerLength + 28) {
    const address = [...frame.subarray(headerLength + 14, headerLength + 18)].join('.');
    return address === '0.0.0.0' ? undefined : address;
  }
  if (type === 0x86dd && frame.length >= headerLength + 40 && frame.readUInt8(headerLength + 6) === 58) {
    const address = frame.subarray(headerLength + 8, headerLength + 24);
    return address.every((byte) => byte === 0) ? undefined : ipv6(address);
  }
  return undefined;
}

function hardwareAddress(frame: Buffer, at: number): string {
  return frame
    .subarray(at, at + 6)
    .toString('hex')
    .replace(/(..)(?=.)/g, '$1:');
}

/** The canonical text of an IPv6 address, by the platform's own URL parser (RFC 5952). */
function ipv6(bytes: Buffer): string {
  const groups = bytes.toString('hex').replace(/(....)(?=.)/g, '$1:');
  return new URL(`http://[${groups}]/`).hostname.slice(1, -1);
}
