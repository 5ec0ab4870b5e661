/** An IP address as a number, with its family; IPv4-mapped IPv6 is IPv4, because that is what connects. */
export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** A network: the addresses whose first `bits` bits are those of `address`. */
export interface Network {
  readonly address: Address;
  readonly bits: number;
}

/** What a special-use network is for: `never` can be reached by no setting. */
export type AddressClass = "never" | "loopback" | "special";

interface SpecialUse extends Network {
  readonly class: AddressClass;
  readonly what: string;
}

// IANA special-purpose registries (RFC 6890 and its updates). The first match decides, so narrow entries
// that no setting may open stand before the wide ones around them.
const specialUse: readonly SpecialUse[] = [
  row("169.254.0.0/16", "never", "link-local"), // RFC 3927; the metadata service of most clouds
  row("100.100.100.200/32", "never", "a cloud metadata service"), // Alibaba Cloud
  row("168.63.129.16/32", "never", "a cloud metadata service"), // Azure WireServer
  row("192.0.0.192/32", "never", "a cloud metadata service"), // Oracle Cloud
  row("0.0.0.0/8", "special", "this network"), // RFC 791 section 3.2
  row("10.0.0.0/8", "special", "private"), // RFC 1918
  row("100.64.0.0/10", "special", "shared address space"), // RFC 6598
  row("127.0.0.0/8", "loopback", "loopback"), // RFC 1122 section 3.2.1.3
  row("172.16.0.0/12", "special", "private"), // RFC 1918
  row("192.0.0.0/24", "special", "reserved for protocols"), // RFC 6890 section 2.1
  row("192.0.2.0/24", "special", "documentation"), // RFC 5737
  row("192.88.99.0/24", "special", "6to4 relay anycast"), // RFC 7526
  row("192.168.0.0/16", "special", "private"), // RFC 1918
  row("198.18.0.0/15", "special", "benchmarking"), // RFC 2544
  row("198.51.100.0/24", "special", "documentation"), // RFC 5737
  row("203.0.113.0/24", "special", "documentation"), // RFC 5737
  row("224.0.0.0/4", "special", "multicast"), // RFC 5771
  row("255.255.255.255/32", "special", "broadcast"), // RFC 8190
  row("240.0.0.0/4", "special", "reserved"), // RFC 1112 section 4
  row("fe80::/10", "never", "link-local"), // RFC 4291 section 2.5.6
  row("fd00:ec2::/32", "never", "a cloud metadata service"), // AWS: metadata, DNS, time, pod identity
  row("fd20:ce::254/128", "never", "a cloud metadata service"), // Google Cloud
  row("fd00:42::42/128", "never", "a cloud metadata service"), // Scaleway
  row("::1/128", "loopback", "loopback"), // RFC 4291 section 2.5.3
  row("::/128", "special", "unspecified"), // RFC 4291 section 2.5.2
  row("::/96", "special", "IPv4-compatible"), // RFC 4291 section 2.5.5.1
  row("::ffff:0:0:0/96", "special", "IPv4-translated"), // RFC 7915, SIIT
  row("64:ff9b::/96", "special", "NAT64"), // RFC 6052
  row("64:ff9b:1::/48", "special", "local NAT64"), // RFC 8215
  row("100::/64", "special", "discard-only"), // RFC 6666
  row("100:0:0:1::/64", "special", "dummy prefix"), // RFC 9780
  row("2001::/32", "special", "Teredo"), // RFC 4380
  row("2001:2::/48", "special", "benchmarking"), // RFC 5180
  row("2001::/23", "special", "reserved for protocols"), // RFC 2928; also ORCHID, RFC 4843 and 7343
  row("2001:db8::/32", "special", "documentation"), // RFC 3849
  row("2002::/16", "special", "6to4"), // RFC 3056
  row("3fff::/20", "special", "documentation"), // RFC 9637
  row("5f00::/16", "special", "segment routing"), // RFC 9602
  row("fc00::/7", "special", "unique local"), // RFC 4193
  row("fec0::/10", "special", "site-local"), // RFC 3879
  row("ff00::/8", "special", "multicast"), // RFC 4291 section 2.7
];
const globalUnicast = network("2000::/3"); // RFC 4291 section 2.4; the rest is unassigned

/** Reads an address in its canonical spellings; null for anything else, zone identifiers included. */
export function parseAddress(text: string): Address | null {
  const v4 = parseV4(text);
  if (v4 !== null) return { family: 4, value: v4 };
  const v6 = parseV6(text);
  if (v6 === null) return null;
  return v6 >> 32n === 0xffffn ? { family: 4, value: v6 & 0xffffffffn } : { family: 6, value: v6 };
}

/** Reads `address/bits`, or a bare address as a network of one; null for anything else. */
export function parseNetwork(text: string): Network | null {
  const slash = text.indexOf("/");
  const base = slash < 0 ? text : text.slice(0, slash);
  const address = parseAddress(base);
  if (address === null) return null;
  // "::ffff:10.0.0.0/104" became the IPv4 network 10.0.0.0/8.
  const mapped = address.family === 4 && base.includes(":");
  const width = address.family === 4 ? 32 : 128;
  if (slash < 0) return { address, bits: width };
  const suffix = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(suffix)) return null;
  const bits = Number(suffix) - (mapped ? 96 : 0);
  return bits >= 0 && bits <= width ? { address, bits } : null;
}

/** Whether the network holds the address. */
export function contains(network: Network, address: Address): boolean {
  if (network.address.family !== address.family) return false;
  const rest = BigInt((address.family === 4 ? 32 : 128) - network.bits);
  return network.address.value >> rest === address.value >> rest;
}

/** The special use of an address, or null for one that is public. */
export function specialUseOf(address: Address): { class: AddressClass; what: string } | null {
  const found = specialUse.find((entry) => contains(entry, address));
  if (address.family === 6 && found?.class !== "never") {
    const inner = embeddedIn(address).map((v4) => specialUseOf(v4)).find((use) => use?.class === "never");
    if (inner) return { class: "never", what: `${inner.what}, embedded in IPv6` };
  }
  if (found) return found;
  if (address.family === 6 && !contains(globalUnicast, address)) {
    return { class: "special", what: "not global unicast" };
  }
  return null;
}

const compatible = network("::/96");
const translated = network("::ffff:0:0:0/96");
const nat64 = network("64:ff9b::/96");
const localNat64 = network("64:ff9b:1::/48");
const sixToFour = network("2002::/16");
const teredo = network("2001::/32");

/** The IPv4 addresses that a translator or tunnel may make of an IPv6 address. */
export function embeddedIn(address: Address): Address[] {
  const v = address.value;
  const low = v & 0xffffffffn;
  const found: bigint[] = [];
  if (address.family === 4) return [];
  if (contains(compatible, address) && v > 1n) found.push(low);
  if (contains(translated, address) || contains(nat64, address)) found.push(low);
  if (contains(localNat64, address)) {
    // RFC 6052 section 2.2: the layouts of /48, /56, /64 and /96, with an empty byte at bits 64 to 71.
    const byte = (index: number) => (v >> BigInt(8 * (15 - index))) & 0xffn;
    const join = (...at: number[]) => at.reduce((sum, index) => (sum << 8n) | byte(index), 0n);
    found.push(join(6, 7, 9, 10), join(7, 9, 10, 11), join(9, 10, 11, 12), low);
  }
  if (contains(sixToFour, address)) found.push((v >> 80n) & 0xffffffffn);
  // RFC 4380 section 4: the server in clear, the client with its bits inverted.
  if (contains(teredo, address)) found.push((v >> 64n) & 0xffffffffn, low ^ 0xffffffffn);
  // RFC 5214 section 6.1: ISATAP interface identifiers, with or without the universal bit.
  if (((v >> 32n) & 0xfdffffffn) === 0x5efen) found.push(low);
  return found.map((value) => ({ family: 4, value }));
}

function parseV4(text: string): bigint | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  let value = 0n;
  for (const part of parts) {
    // A leading zero is octal to some readers and decimal to others, so it is no address here.
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

// RFC 4291 section 2.2
function parseV6(text: string): bigint | null {
  const tail = text.slice(text.lastIndexOf(":") + 1);
  if (tail.includes(".")) {
    const v4 = parseV4(tail);
    if (v4 === null || !text.includes(":")) return null;
    const groups = `${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`;
    return parseV6(text.slice(0, -tail.length) + groups);
  }
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head, rest] = halves.map((half) => half === "" ? [] : half.split(":"));
  if (head === undefined) return null;
  const missing = 8 - head.length - (rest?.length ?? 0);
  if (rest === undefined ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...Array<string>(missing).fill("0"), ...(rest ?? [])];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
  return groups.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}

function row(text: string, addressClass: AddressClass, what: string): SpecialUse {
  return { ...network(text), class: addressClass, what };
}

function network(text: string): Network {
  const parsed = parseNetwork(text);
  if (parsed === null) throw new Error(`Cannot read network: "${text}" is malformed`);
  return parsed;
}
