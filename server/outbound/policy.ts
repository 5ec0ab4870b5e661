import { AppError } from "../errors.ts";
import {
  type Address,
  contains,
  embeddedIn,
  type Network,
  parseAddress,
  parseNetwork,
  specialUseOf,
} from "./addresses.ts";

/** What OUTBOUND_ALLOW and the address that the mesh listens on permit beyond public addresses. */
export interface PolicyOptions {
  /** Host names, addresses and CIDRs; link-local and metadata addresses stay refused even if listed. */
  allow: readonly string[];
  /** True while the mesh itself listens on loopback. */
  loopbackAllowed: boolean;
}

/** Splits OUTBOUND_ALLOW at its commas; throws a sentence that names a malformed entry. */
export function parseOutboundAllow(text: string): string[] {
  const entries = text.split(",").map((entry) => entry.trim()).filter((entry) => entry !== "");
  for (const entry of entries) {
    if (networkOf(entry) === null && hostOf(entry) === null) {
      throw new AppError(
        "invalid",
        `Cannot read OUTBOUND_ALLOW: "${entry}" is neither a host name nor a CIDR`,
      );
    }
  }
  return entries;
}

/** Decides which addresses may be connected to. */
export class OutboundPolicy {
  readonly #networks: readonly Network[];
  readonly #hosts: ReadonlySet<string>;
  readonly #loopbackAllowed: boolean;

  constructor(options: PolicyOptions) {
    const entries = parseOutboundAllow(options.allow.join(","));
    this.#networks = entries.map(networkOf).filter((network) => network !== null);
    this.#hosts = new Set(
      entries.filter((entry) => networkOf(entry) === null).map(hostOf).filter((host) => host !== null),
    );
    this.#loopbackAllowed = options.loopbackAllowed;
  }

  /** Null when `address`, found for `host`, may be connected to, or else why not. */
  refusal(host: string, address: string): string | null {
    const parsed = parseAddress(address);
    if (parsed === null) return `"${address}" is not an address that can be checked`;
    const use = specialUseOf(parsed);
    if (use === null) return null;
    if (use.class === "never") return `${address} is ${use.what}, which OUTBOUND_ALLOW cannot permit`;
    if (this.#hosts.has(host) || this.#permits(parsed)) return null;
    return `${address} is ${use.what}, list it in OUTBOUND_ALLOW to permit it`;
  }

  // An address that carries an IPv4 address leads to that one as well, so both must be permitted.
  #permits(address: Address): boolean {
    const use = specialUseOf(address);
    if (use === null) return true;
    if (use.class === "loopback" && this.#loopbackAllowed) return true;
    return this.#networks.some((network) => contains(network, address)) &&
      embeddedIn(address).every((inner) => this.#permits(inner));
  }
}

function networkOf(entry: string): Network | null {
  return parseNetwork(entry.startsWith("[") && entry.endsWith("]") ? entry.slice(1, -1) : entry);
}

// The URL parser gives a listed name the same spelling as a name in an address: lower case, punycode.
function hostOf(entry: string): string | null {
  if (!/^[^\s/:@?#\\%*[\]]+$/.test(entry) || !URL.canParse(`http://${entry}/`)) return null;
  const host = new URL(`http://${entry}/`).hostname.replace(/\.$/, "");
  return host !== "" && parseAddress(host) === null ? host : null;
}
