// What becomes of credentials whose owners leave.
import assert from "node:assert/strict";
import { removeMember } from "../../server/actions/members.ts";
import * as credentials from "../../server/storage/upstream_credentials.ts";
import { CredentialNeeded } from "../../server/upstream/holders.ts";
import { company, run } from "../support/people.ts";
import { onServices } from "../support/services.ts";
import { startOidcUpstream } from "../support/upstreams/oidc_provider.ts";
import { authorize } from "./authorized.ts";
import { callerOf, give, holderConnection } from "./holders_support.ts";

onServices(
  "holders: who leaves an organization leaves no credential behind, nor a grant at the server",
  async (services) => {
    await using oidc = await startOidcUpstream();
    const { organization: { id: organizationId }, owner, user } = await company(services, "Blue");
    const oauth = { url: oidc.mcpUrl, credential_type: "oauth" };
    const authorized = await holderConnection(services, organizationId, oauth);
    const pasted = await holderConnection(services, organizationId, { url: oidc.mcpUrl });
    const leaving = callerOf({ organizationId, userId: user.userId });
    const { grant } = await authorize(services, oidc, {
      ...leaving,
      connectionId: authorized,
      owner: user.userId,
    });
    const secret = { kind: "token", token: "stays" } as const;
    for (const one of [owner.userId, user.userId]) {
      await give(services, { organizationId, connectionId: pasted, owner: one, secret });
    }
    const target = await services.upstream.target(organizationId, authorized);
    assert.ok(target);
    await services.upstream.headersFor(target, leaving);
    await run(services, owner, { action: removeMember, input: { memberIdOrEmail: user.memberId } });
    assert.deepEqual(await credentials.listOfOwner(services.db, organizationId, user.userId), []);
    assert.equal((await credentials.listOfOwner(services.db, organizationId, owner.userId)).length, 1);
    await assert.rejects(async () => await services.upstream.headersFor(target, leaving), CredentialNeeded);
    const answer = await fetch(`${oidc.issuer}/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "refresh_token",
        refresh_token: grant.refreshToken ?? "",
        client_id: grant.client.clientId,
        client_secret: grant.client.secret ?? "",
      }),
    });
    assert.equal((await answer.json()).error, "invalid_grant");
  },
);
