import assert from "node:assert/strict";
import { AppError } from "../../server/errors.ts";
import { parseOutboundAllow } from "../../server/outbound.ts";
import { OutboundPolicy } from "../../server/outbound/policy.ts";

function permits(allow: string, host: string, address: string): boolean {
  return new OutboundPolicy({ allow: parseOutboundAllow(allow), loopbackAllowed: false })
    .refusal(host, address) === null;
}

Deno.test("OUTBOUND_ALLOW is a list of host names, addresses and CIDRs", () => {
  assert.deepEqual(parseOutboundAllow(""), []);
  assert.deepEqual(parseOutboundAllow(" , ,"), []);
  assert.deepEqual(parseOutboundAllow("a.example, 10.0.0.0/8 ,[::1],fd00::/8,localhost"), [
    "a.example",
    "10.0.0.0/8",
    "[::1]",
    "fd00::/8",
    "localhost",
  ]);
});

Deno.test("a malformed entry of OUTBOUND_ALLOW is named", () => {
  const malformed = [
    "http://a.example",
    "a.example:8080",
    "a.example/path",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/",
    "10.0.0/8",
    "10.0.0",
    "0x7f.1",
    "::/129",
    "::ffff:10.0.0.0/90",
    "fe80::1%eth0",
    "*.example",
    "user@a.example",
    "a b",
    "[::1",
    "a.example?",
    ".",
  ];
  for (const entry of malformed) {
    assert.throws(() => parseOutboundAllow(`ok.example,${entry}`), (error) => {
      assert(error instanceof AppError);
      assert.equal(error.message, `Cannot read OUTBOUND_ALLOW: "${entry}" is neither a host name nor a CIDR`);
      return true;
    }, entry);
  }
  assert.throws(() => new OutboundPolicy({ allow: ["10.0.0.0/99"], loopbackAllowed: false }), AppError);
});

Deno.test("a CIDR permits its addresses and no others", () => {
  assert(permits("10.0.0.0/8", "a.example", "10.200.1.1"));
  assert(!permits("10.0.0.0/8", "a.example", "172.16.0.1"));
  assert(permits("10.0.0.7", "a.example", "10.0.0.7"));
  assert(!permits("10.0.0.7", "a.example", "10.0.0.8"));
  assert(permits("10.1.2.3/8", "a.example", "10.9.9.9"), "host bits of a CIDR do not count");
  assert(permits("127.0.0.0/31", "a.example", "127.0.0.1"));
  assert(!permits("127.0.0.0/31", "a.example", "127.0.0.2"));
  assert(permits("::1", "a.example", "::1"));
  assert(permits("fd00::/8", "a.example", "fd12::1"));
  assert(!permits("fd00::/8", "a.example", "fc00::1"));
  assert(permits("0.0.0.0/0", "a.example", "192.168.1.1"));
  assert(!permits("0.0.0.0/0", "a.example", "fd00::1"), "an IPv4 network holds no IPv6 address");
});

Deno.test("IPv4-mapped spellings of networks and addresses are their IPv4 selves", () => {
  assert(permits("::ffff:10.0.0.0/104", "a.example", "10.1.1.1"));
  assert(permits("10.0.0.0/8", "a.example", "::ffff:10.1.1.1"));
  assert(!permits("::/0", "a.example", "::ffff:10.1.1.1"));
});

Deno.test("a translation prefix that is listed opens only what it leads to and is open itself", () => {
  assert(permits("64:ff9b::/96", "a.example", "64:ff9b::8.8.8.8"));
  assert(!permits("64:ff9b::/96", "a.example", "64:ff9b::10.0.0.1"));
  assert(!permits("64:ff9b::/96", "a.example", "64:ff9b::127.0.0.1"));
  assert(permits("64:ff9b::/96,10.0.0.0/8", "a.example", "64:ff9b::10.0.0.1"));
  assert(!permits("2002::/16", "a.example", "2002:c0a8:1::1"));
  assert(permits("2002::/16,192.168.0.0/16", "a.example", "2002:c0a8:1::1"));
});

Deno.test("a host name permits its private addresses, in any spelling that a URL gives it", () => {
  assert(permits("inside.example", "inside.example", "10.0.0.1"));
  assert(permits("INSIDE.example.", "inside.example", "10.0.0.1"));
  assert(permits("bücher.example", "xn--bcher-kva.example", "10.0.0.1"));
  assert(!permits("inside.example", "sub.inside.example", "10.0.0.1"));
  assert(!permits("inside.example", "inside.example.org", "10.0.0.1"));
  assert(!permits("inside.example", "inside.example", "169.254.169.254"));
  assert(permits("my_service", "my_service", "172.17.0.2"), "names as container networks make them");
});
