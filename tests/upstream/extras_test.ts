// What completes a connection's headers for each caller: at once where it can be, and with the organization as it is.
import assert from "node:assert/strict";
import * as organizations from "../../server/storage/organizations.ts";
import { Extras } from "../../server/upstream/extras.ts";
import { IdentityTokens } from "../../server/upstream/identity_token.ts";
import { addOrganization } from "../support/accounts.ts";
import { onServices } from "../support/services.ts";
import { callerOf } from "./holders_support.ts";
import { until } from "../support/until.ts";

onServices(
  "headers are completed at once while everything is known, and follow a change",
  async (services) => {
    const { db, signingKeys: keys } = services;
    const { id: organizationId, slug } = await addOrganization(db, "Northwind");
    const extras = new Extras({
      db,
      identityTokens: new IdentityTokens({ keys, baseUrl: "https://mesh.example" }),
    });
    const ann = callerOf({ organizationId, userId: "usr_1" });
    const plain = {
      id: "conn_1",
      organizationId,
      url: "https://x.example/mcp",
      templated: false,
      identityToken: false,
    };
    const headers = [["x-org", "{organization.slug}"], [
      "x-mesh-token",
      "set before it was refused",
    ]] as const;
    assert.equal(
      extras.complete(headers, plain, ann),
      headers,
      "nothing is looked up for a connection without extras",
    );

    const templated = { ...plain, templated: true };
    const first = extras.complete(headers, templated, ann);
    assert(first instanceof Promise);
    assert.deepEqual((await first)[0], ["x-org", slug]);
    assert(!(extras.complete(headers, templated, ann) instanceof Promise));

    const signed = { ...templated, identityToken: true };
    const [org, token, ...more] = await extras.complete(headers, signed, ann);
    assert.deepEqual([org, more], [["x-org", slug], []]);
    assert.match(token![1], /^eyJ/);
    assert.deepEqual(extras.complete(headers, signed, ann), [org, token], "the second time at once");

    await organizations.update(db, organizationId, { changes: { slug: "southwind" }, now: Date.now() });
    await until(() => {
      const again = extras.complete(headers, templated, ann);
      return !(again instanceof Promise) && again[0]![1] === "southwind";
    });
  },
);

onServices("the headers of an organization that is gone are not made up", async (services) => {
  const { db, signingKeys: keys } = services;
  const extras = new Extras({
    db,
    identityTokens: new IdentityTokens({ keys, baseUrl: "https://mesh.example" }),
  });
  const organizationId = "org_gone";
  const target = {
    id: "conn_1",
    organizationId,
    url: "https://x.example/",
    templated: true,
    identityToken: false,
  };
  const ann = callerOf({ organizationId, userId: "usr_1" });
  await assert.rejects(async () => await extras.complete([], target, ann), /Cannot find the organization/);
});
