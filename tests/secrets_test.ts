// Nothing that was given in confidence comes out again: not in the log, on a page, in an answer, a row or an error.
import assert from "node:assert/strict";
import { granted, refused } from "./secrets/grants.ts";
import { startLeakyIssuer, startLeakyServer } from "./secrets/leaky.ts";
import type { Said } from "./secrets/markers.ts";
import { readAll, readDatabase, readFiles, readPages } from "./secrets/reading.ts";
import { personal, shared } from "./secrets/servers.ts";
import { Site } from "./secrets/site.ts";
import { until } from "./support/until.ts";

const marked = [
  ...[
    "API key of the member",
    "API key of the owner",
    "OAuth client secret",
    "OAuth client secret that is repeated",
  ],
  ...["PKCE verifier", "access token", "access token of the repeating server", "another connection token"],
  ...["authorization code", "client assertion", "client private key", "connection token", "header template"],
  ...["header value", "id token", "id token of the repeating server", "identity token", "imported header"],
  ...[
    "key in a query",
    "key of a certificate",
    "master key",
    "part of a path",
    "password",
    "password of a member",
    "personal header of the member",
  ],
  ...["personal header of the owner", "personal token of the member", "personal token of the owner"],
  ...["refresh token", "refresh token of the repeating server", "refused certificate", "refused client key"],
  ...[
    "refused client secret",
    "refused header value",
    "refused key of a certificate",
    "refused list of headers",
  ],
  ...[
    "refused password in a URL",
    "refused token",
    "refused token of another shape",
    "refused unknown field",
  ],
  ...["refused value of no header", "refused value of the member", "refused value of the owner"],
  "registered client's secret",
  ...["session of the member", "session of the owner", "state", "token of a form", "wrong password"],
];

Deno.test("secrets: what was marked is nowhere to be found", async (t) => { // CL17, G05
  const dir = await Deno.makeTempDir({ prefix: "mesh-secrets-" });
  try {
    await using leaky = await startLeakyServer();
    await using issuer = await startLeakyIssuer();
    await using site = await Site.start(dir);
    const owner = await site.owner();
    const people = { owner, member: await site.member(owner) };
    await t.step("shared tokens and headers", () => shared(site, people, leaky.url));
    await t.step("personal tokens and headers", () => personal(site, people, leaky.url));
    await t.step("grants", () => granted(site, people));
    await t.step("grants that are refused", () => refused(site, people, issuer));
    await t.step("every connection is checked in the background", () => until(() => checkedAll(dir)));
    for (const person of Object.values(people)) {
      await t.step(`every page as ${person.name}`, async () => assert.ok(await readPages(person) > 30));
      await t.step(`every action as ${person.name}`, async () => assert.ok(await readAll(site, person) > 30));
    }
    await t.step("the command line", () => site.command("config"));
    await site.stop();
    assert.deepEqual(site.markers.names, marked);
    assert.match(site.log, /"level":"info","message":"stopping"/);
    const rows = [...readDatabase(`${dir}/mesh.db`)];
    await t.step("the servers' words are in the log, and secrets in them are not", () => {
      const log = rows.filter(({ where, text }) =>
        /of audit_log/.test(where) && /I was sent .*\*\*\*/.test(text)
      );
      assert.ok(log.length > 100, String(log.length));
    });
    const places: Record<string, Iterable<Said>> = {
      "the log of the process": [{ where: "the log", text: site.log }],
      "what was answered": site.said,
      "the database": rows,
      "the files": readFiles(dir),
    };
    for (const [place, all] of Object.entries(places)) {
      await t.step(place, () => assert.deepEqual(site.markers.find(all), []));
    }
    await t.step("private keys of the mesh's own are sealed", () => { // RFC 7518 section 6.2.2
      const everything = [site.log, ...site.said.map(({ text }) => text), ...rows.map(({ text }) => text)];
      assert.deepEqual(
        everything.filter((text) =>
          /"d\\*":\s*\\*"[\w-]{20}|PRIVATE KEY-----(?:\s|\\.)*[\w+/]{20}/.test(text)
        ),
        [],
      );
    });
    await t.step("the search finds what is there, encoded too", () => {
      const all = [{
        where: "here",
        text: `${btoa(`x:${owner.key}`)} ${`${owner.browser.cookies.values().next().value}`}`,
      }];
      assert.equal(site.markers.find(all).length, 2);
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** True when the background has looked at every connection. */
function checkedAll(dir: string): boolean {
  const rows = [...readDatabase(`${dir}/mesh.db`)].filter(({ where }) => /of connection_health/.test(where));
  return rows.length > 0 && rows.every(({ where }) => !/"checked_at":null/.test(where));
}
