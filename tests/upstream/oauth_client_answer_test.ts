// What the browser brings back.
import assert from "node:assert/strict";
import {
  type AuthorizationAnswer,
  beginAuthorization,
  finishAuthorization,
} from "../../server/upstream/oauth_client.ts";
import { onServices } from "../support/services.ts";
import { startSite, whole } from "./oauth_client_site.ts";
import { connectionTo, partsOf, rejectsAs } from "./oauth_client_support.ts";

const foreign = "Call 555-0100 to unlock your account";

onServices(
  "the sender of an answer is compared as a string before anything of it counts",
  async (services) => { // CL06
    const cases: [boolean, (issuer: string) => string | undefined, boolean][] = [
      // The server says that its answers carry `iss`, what they carry, whether they are taken.
      [true, (issuer) => issuer, true],
      [true, () => undefined, false],
      [true, () => "https://evil.example", false],
      [true, (issuer) => `${issuer}/`, false],
      [true, (issuer) => issuer.toUpperCase(), false],
      [true, () => "", false],
      [false, () => undefined, true],
      [false, (issuer) => issuer, true],
      [false, () => "https://evil.example", false],
      [false, (issuer) => `${issuer}/`, false],
    ];
    const parts = partsOf(services);
    for (const [supported, iss, taken] of cases) {
      await using site = await startSite((origin) =>
        whole(origin, supported ? { authorization_response_iss_parameter_supported: true } : {})
      );
      const connection = connectionTo(site.mcpUrl);
      const { flow } = await beginAuthorization(parts, { connection, state: "s" });
      const sender = iss(flow.issuer);
      const from = sender === undefined ? {} : { iss: sender };
      const finish = (answer: AuthorizationAnswer) =>
        finishAuthorization(parts, { connection, flow, answer });
      const label = `${supported} ${sender}`;
      if (taken) {
        assert.equal((await finish({ code: "c", ...from })).grant.accessToken, "access-1", label);
        const words = /the authorization server refused: 'Call 555-0100 to unlock your account'$/;
        await rejectsAs(
          finish({ error: "access_denied", errorDescription: foreign, ...from }),
          "refused",
          words,
        );
        continue;
      }
      const refused =
        /the answer does not come from 'http:\/\/127\.0\.0\.1:\d+', which was asked; begin again$/;
      await rejectsAs(finish({ code: "c", ...from }), "refused", refused);
      await rejectsAs(
        finish({ error: "access_denied", errorDescription: foreign, ...from }),
        "refused",
        refused,
      );
      assert.deepEqual(site.forms("/token"), [], label);
    }
  },
);

onServices("a refusal is told apart from trouble", async (services) => {
  await using site = await startSite(whole);
  const parts = partsOf(services);
  const connection = connectionTo(site.mcpUrl);
  const { flow } = await beginAuthorization(parts, { connection, state: "s" });
  const finish = (answer: AuthorizationAnswer) => finishAuthorization(parts, { connection, flow, answer });
  await rejectsAs(finish({ error: "access_denied" }), "refused", /refused: 'access_denied'$/);
  await rejectsAs(
    finish({ error: "invalid_scope", errorDescription: "a\n\nb" }),
    "refused",
    /refused: 'a b'$/,
  );
  await rejectsAs(finish({ error: "temporarily_unavailable" }), "transient");
  await rejectsAs(finish({ error: "unauthorized_client" }), "invalid_client");
  await rejectsAs(finish({ error: "x".repeat(5000) }), "refused", /'x{200}\.\.\.'$/);
  for (const answer of [{}, { code: "" }]) {
    await rejectsAs(finish(answer), "refused", /answered without a code; begin again$/);
  }
  assert.deepEqual(site.forms("/token"), []);
});
