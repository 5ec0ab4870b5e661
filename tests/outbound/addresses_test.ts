import assert from "node:assert/strict";
import { parseAddress, specialUseOf } from "../../server/outbound/addresses.ts";
import { OutboundPolicy } from "../../server/outbound/policy.ts";

type Row = [address: string, what: string, source: string];

// Refused unless listed: every block of the IANA special-purpose registries, its edges and its look-alikes.
const special: Row[] = [
  ["0.0.0.0", "this network", "RFC 791 section 3.2"],
  ["0.255.255.255", "this network", "RFC 791 section 3.2"],
  ["10.0.0.0", "private", "RFC 1918"],
  ["10.255.255.255", "private", "RFC 1918"],
  ["100.64.0.0", "shared address space", "RFC 6598"],
  ["100.127.255.255", "shared address space", "RFC 6598"],
  ["172.16.0.0", "private", "RFC 1918"],
  ["172.31.255.255", "private", "RFC 1918"],
  ["192.0.0.0", "reserved for protocols", "RFC 6890 section 2.1"],
  ["192.0.0.8", "reserved for protocols", "RFC 7600"],
  ["192.0.0.170", "reserved for protocols", "RFC 7050"],
  ["192.0.0.255", "reserved for protocols", "RFC 6890 section 2.1"],
  ["192.0.2.1", "documentation", "RFC 5737"],
  ["192.88.99.1", "6to4 relay anycast", "RFC 7526"],
  ["192.168.0.0", "private", "RFC 1918"],
  ["192.168.255.255", "private", "RFC 1918"],
  ["198.18.0.0", "benchmarking", "RFC 2544"],
  ["198.19.255.255", "benchmarking", "RFC 2544"],
  ["198.51.100.7", "documentation", "RFC 5737"],
  ["203.0.113.7", "documentation", "RFC 5737"],
  ["224.0.0.1", "multicast", "RFC 5771"],
  ["239.255.255.255", "multicast", "RFC 5771"],
  ["240.0.0.1", "reserved", "RFC 1112 section 4"],
  ["255.255.255.254", "reserved", "RFC 1112 section 4"],
  ["255.255.255.255", "broadcast", "RFC 8190"],
  ["::ffff:10.0.0.1", "private", "RFC 4291 section 2.5.5.2"],
  ["::ffff:c0a8:1", "private", "RFC 4291 section 2.5.5.2"],
  ["::ffff:0.0.0.0", "this network", "RFC 4291 section 2.5.5.2"],
  ["::", "unspecified", "RFC 4291 section 2.5.2"],
  ["::7f00:1", "IPv4-compatible", "RFC 4291 section 2.5.5.1"],
  ["::8.8.8.8", "IPv4-compatible", "RFC 4291 section 2.5.5.1"],
  ["::ffff:0:10.0.0.1", "IPv4-translated", "RFC 7915"],
  ["64:ff9b::10.0.0.1", "NAT64", "RFC 6052"],
  ["64:ff9b::7f00:1", "NAT64", "RFC 6052"],
  ["64:ff9b::8.8.8.8", "NAT64", "RFC 6052"],
  ["64:ff9b:1::1", "local NAT64", "RFC 8215"],
  ["64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "local NAT64", "RFC 8215"],
  ["100::1", "discard-only", "RFC 6666"],
  ["100:0:0:1::1", "dummy prefix", "RFC 9780"],
  ["2001::1", "Teredo", "RFC 4380"],
  ["2001:0:7f00:1::", "Teredo", "RFC 4380"],
  ["2001:2::1", "benchmarking", "RFC 5180"],
  ["2001:10::1", "reserved for protocols", "RFC 4843"],
  ["2001:20::1", "reserved for protocols", "RFC 7343"],
  ["2001:1ff:ffff::1", "reserved for protocols", "RFC 2928"],
  ["2001:db8::1", "documentation", "RFC 3849"],
  ["2002:a00:1::1", "6to4", "RFC 3056"],
  ["2002:808:808::1", "6to4", "RFC 3056"],
  ["3fff::1", "documentation", "RFC 9637"],
  ["3fff:fff:ffff::1", "documentation", "RFC 9637"],
  ["5f00::1", "segment routing", "RFC 9602"],
  ["fc00::1", "unique local", "RFC 4193"],
  ["fdff:ffff::1", "unique local", "RFC 4193"],
  ["fec0::1", "site-local", "RFC 3879"],
  ["feff::1", "site-local", "RFC 3879"],
  ["ff00::1", "multicast", "RFC 4291 section 2.7"],
  ["ff02::1", "multicast", "RFC 4291 section 2.7"],
  ["1::1", "not global unicast", "RFC 4291 section 2.4"],
  ["4000::1", "not global unicast", "RFC 4291 section 2.4"],
  ["fe00::1", "not global unicast", "RFC 4291 section 2.4"],
];

const loopback: Row[] = [
  ["127.0.0.1", "loopback", "RFC 1122 section 3.2.1.3"],
  ["127.255.255.255", "loopback", "RFC 1122 section 3.2.1.3"],
  ["::ffff:127.0.0.1", "loopback", "RFC 4291 section 2.5.5.2"],
  ["::ffff:7f00:1", "loopback", "RFC 4291 section 2.5.5.2"],
  ["::1", "loopback", "RFC 4291 section 2.5.3"],
];

const never: Row[] = [
  ["169.254.169.254", "link-local", "RFC 3927"],
  ["169.254.0.0", "link-local", "RFC 3927"],
  ["169.254.255.255", "link-local", "RFC 3927"],
  ["::ffff:169.254.169.254", "link-local", "RFC 3927"],
  ["::ffff:a9fe:a9fe", "link-local", "RFC 3927"],
  ["100.100.100.200", "a cloud metadata service", "Alibaba Cloud"],
  ["168.63.129.16", "a cloud metadata service", "Azure"],
  ["192.0.0.192", "a cloud metadata service", "Oracle Cloud"],
  ["fe80::1", "link-local", "RFC 4291 section 2.5.6"],
  ["fe80::a9fe:a9fe", "link-local", "RFC 4291 section 2.5.6"],
  ["febf:ffff::1", "link-local", "RFC 4291 section 2.5.6"],
  ["fd00:ec2::254", "a cloud metadata service", "AWS"],
  ["fd00:ec2::23", "a cloud metadata service", "AWS"],
  ["fd20:ce::254", "a cloud metadata service", "Google Cloud"],
  ["fd00:42::42", "a cloud metadata service", "Scaleway"],
  ["::169.254.169.254", "link-local, embedded in IPv6", "RFC 4291 section 2.5.5.1"],
  ["::ffff:0:169.254.169.254", "link-local, embedded in IPv6", "RFC 7915"],
  ["64:ff9b::169.254.169.254", "link-local, embedded in IPv6", "RFC 6052"],
  ["64:ff9b::6464:64c8", "a cloud metadata service, embedded in IPv6", "RFC 6052"],
  ["64:ff9b:1::a9fe:a9fe", "link-local, embedded in IPv6", "RFC 8215, /96"],
  ["64:ff9b:1:a9fe:a9:fe00::", "link-local, embedded in IPv6", "RFC 8215, /48"],
  ["64:ff9b:1:a9:fe:a9fe::", "link-local, embedded in IPv6", "RFC 8215, /56"],
  ["64:ff9b:1:0:a9:fea9:fe00:0", "link-local, embedded in IPv6", "RFC 8215, /64"],
  ["2002:a9fe:a9fe::1", "link-local, embedded in IPv6", "RFC 3056"],
  ["2001:0:a9fe:a9fe::1", "link-local, embedded in IPv6", "RFC 4380, server"],
  ["2001:0:102:304:0:0:5601:5601", "link-local, embedded in IPv6", "RFC 4380, client"],
  ["2a00::5efe:169.254.169.254", "link-local, embedded in IPv6", "RFC 5214"],
  ["2a00::200:5efe:169.254.169.254", "link-local, embedded in IPv6", "RFC 5214"],
];

const open: Row[] = [
  ["1.1.1.1", "", "next to 0/8"],
  ["8.8.8.8", "", ""],
  ["9.255.255.255", "", "before 10/8"],
  ["11.0.0.0", "", "after 10/8"],
  ["100.63.255.255", "", "before 100.64/10"],
  ["100.128.0.0", "", "after 100.64/10"],
  ["126.255.255.255", "", "before 127/8"],
  ["128.0.0.0", "", "after 127/8"],
  ["169.253.255.255", "", "before 169.254/16"],
  ["169.255.0.0", "", "after 169.254/16"],
  ["172.15.255.255", "", "before 172.16/12"],
  ["172.32.0.0", "", "after 172.16/12"],
  ["192.0.1.0", "", "after 192.0.0/24"],
  ["192.167.255.255", "", "before 192.168/16"],
  ["192.169.0.0", "", "after 192.168/16"],
  ["198.17.255.255", "", "before 198.18/15"],
  ["198.20.0.0", "", "after 198.18/15"],
  ["223.255.255.255", "", "before 224/4"],
  ["168.63.129.15", "", "before Azure's"],
  ["::ffff:8.8.8.8", "", "mapped, so 8.8.8.8"],
  ["2000::1", "", "first of 2000::/3"],
  ["2001:200::1", "", "after 2001::/23"],
  ["2001:4860:4860::8888", "", ""],
  ["2001:db9::1", "", "after 2001:db8::/32"],
  ["2003::1", "", "after 2002::/16"],
  ["2606:4700:4700::1111", "", ""],
  ["2a00::5efe:8.8.8.8", "", "ISATAP of a public address"],
  ["3ffe:ffff::1", "", "before 3fff::/20"],
];

const everything = ["0.0.0.0/0", "::/0"];
const policies = {
  plain: new OutboundPolicy({ allow: [], loopbackAllowed: false }),
  onLoopback: new OutboundPolicy({ allow: [], loopbackAllowed: true }),
  allListed: new OutboundPolicy({ allow: everything, loopbackAllowed: true }),
  hostListed: new OutboundPolicy({ allow: ["inside.example"], loopbackAllowed: false }),
};

function listedOnly(address: string): string {
  return `${address} is `;
}

Deno.test("special-use addresses are refused unless their network or host name is listed", () => {
  for (const [address, what, source] of special) {
    const refusal = `${listedOnly(address)}${what}, list it in OUTBOUND_ALLOW to permit it`;
    assert.equal(policies.plain.refusal("outside.example", address), refusal, source);
    assert.equal(policies.onLoopback.refusal("outside.example", address), refusal, source);
    assert.equal(policies.hostListed.refusal("outside.example", address), refusal, source);
    assert.equal(policies.hostListed.refusal("inside.example", address), null, source);
    assert.equal(policies.allListed.refusal("outside.example", address), null, source);
  }
});

Deno.test("loopback is refused unless listed or the mesh itself listens there", () => {
  for (const [address, what, source] of loopback) {
    const refusal = `${listedOnly(address)}${what}, list it in OUTBOUND_ALLOW to permit it`;
    assert.equal(policies.plain.refusal("localhost", address), refusal, source);
    assert.equal(policies.onLoopback.refusal("localhost", address), null, source);
    assert.equal(policies.hostListed.refusal("inside.example", address), null, source);
    assert.equal(policies.allListed.refusal("localhost", address), null, source);
  }
});

Deno.test("link-local and metadata addresses are refused under every setting", () => {
  for (const [address, what, source] of never) {
    const refusal = `${listedOnly(address)}${what}, which OUTBOUND_ALLOW cannot permit`;
    for (const policy of Object.values(policies)) {
      for (const host of ["inside.example", "outside.example"]) {
        assert.equal(policy.refusal(host, address), refusal, source);
      }
    }
    const itself = new OutboundPolicy({ allow: [address], loopbackAllowed: true });
    assert.equal(itself.refusal(address, address), refusal, source);
  }
});

Deno.test("public addresses are open under every setting", () => {
  for (const [address, , note] of open) {
    for (const policy of Object.values(policies)) {
      assert.equal(policy.refusal("outside.example", address), null, `${address} ${note}`);
    }
    assert.equal(specialUseOf(parseAddress(address)!), null);
  }
});

Deno.test("what is not an address as the system writes it is refused, zone identifiers too", () => {
  const broken = [
    "",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "0x7f.0.0.1",
    "2130706433",
    "127.1",
    "1.2.3.4 ",
    "::1%lo",
    "fe80::1%eth0",
    "fd00::1%25eth0",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8:9",
    "12345::",
    "::g",
    "::1.2.3",
    "::1.2.3.4.5",
    "1.2.3.4::",
    "[::1]",
    "localhost",
  ];
  for (const address of broken) {
    assert.equal(parseAddress(address), null, address);
    assert.equal(
      policies.allListed.refusal("inside.example", address),
      `"${address}" is not an address that can be checked`,
    );
  }
});

Deno.test("every spelling of an IPv6 address reads as the same number", () => {
  const spellings = [
    "2a00::1",
    "2A00::1",
    "2a00:0:0:0:0:0:0:1",
    "2a00:0000::0001",
    "2a00::0.0.0.1",
    "2a00:0::0:1",
  ];
  assert.deepEqual(
    new Set(spellings.map((text) => parseAddress(text)?.value)),
    new Set([(0x2a00n << 112n) | 1n]),
  );
  assert.deepEqual(parseAddress("::ffff:1.2.3.4"), { family: 4, value: 0x01020304n });
});
