import assert from "node:assert/strict";
import { getConnection, updateConnection } from "../../server/actions/connections.ts";
import { Authority } from "../outbound/certificates.ts";
import { onEachDatabase } from "../support/databases.ts";
import { withServices } from "../support/services.ts";
import { startFixture } from "../support/upstreams.ts";
import { connect, refused, run, someone } from "./connection_support.ts";

const masked = { certificate: "***", key: "***" };

onEachDatabase(
  "connections: options and a client certificate are kept, shown without the key, and replaced",
  async (_t, url) => {
    const authority = new Authority("a private authority");
    const [own, other] = [authority.issue(["mesh.example"]), authority.issue(["mesh.example"])];
    await using upstream = await startFixture();
    await using elsewhere = await startFixture();
    await withServices(url, async (services) => {
      const ann = await someone(services);
      const options = { timeout_seconds: 30, identity_token: true, ca_certificates: authority.cert.trim() };
      const made = await connect(services, ann, {
        connection_url: upstream.url,
        options,
        client_certificate: { certificate: own.cert + authority.cert, key: own.key },
      });
      assert.equal(made.status, "active", made.status_reason ?? "");
      assert.deepEqual(made.options, options);
      assert.deepEqual([made.client_certificate, made.has_client_certificate], [masked, true]);
      const change = async (data: Record<string, unknown>) =>
        (await run(services, ann, [updateConnection, { id: made.id, data }])).item;
      const refuse = async (data: Record<string, unknown>, field: string, message: RegExp) => {
        const error = await refused(change(data), "invalid", /^Cannot /);
        assert.match(error.fields?.[field] ?? "", message, JSON.stringify(error.fields));
        assert.ok(!error.message.includes("PRIVATE"), "the refusal holds the key");
      };

      // What was read can be sent back.
      const same = await change(made);
      assert.deepEqual([same.options, same.client_certificate], [options, masked]);
      await refuse(
        { client_certificate: { ...masked, key: other.key } },
        "data.client_certificate.key",
        /not that of/,
      );
      await refuse(
        { client_certificate: { ...masked, certificate: "x" } },
        "data.client_certificate.certificate",
        /PEM/,
      );
      await refuse({ options: { ca_certificates: own.key } }, "data.options.ca_certificates", /private key/);
      await refuse({ options: { ca_certificates: own.cert } }, "data.options.ca_certificates", /authority/);
      await refuse({ options: { timeout_seconds: 1.5 } }, "data.options.timeout_seconds", /int/);
      await refuse({ options: { retries: 3 } }, "data.options", /retries/);
      assert.deepEqual(
        (await change({ client_certificate: { certificate: other.cert, key: other.key } })).options,
        options,
      );

      const bare = await change({ options: { timeout_seconds: null, identity_token: false } });
      assert.deepEqual([bare.options, bare.has_client_certificate], [null, true]);
      const moved = await change({ connection_url: elsewhere.url });
      assert.deepEqual([moved.client_certificate, moved.has_client_certificate], [null, false]);
      assert.match(moved.status_reason ?? "", /stored secrets were dropped/);
      await refuse({ client_certificate: masked }, "data.client_certificate", /stands for a stored secret/);
      await change({ client_certificate: { certificate: own.cert, key: own.key } });
      assert.equal((await change({ client_certificate: null })).has_client_certificate, false);

      await services.audit.flush();
      const rows = JSON.stringify([
        await services.db.selectFrom("audit_log").selectAll().execute(),
        await services.db.selectFrom("connections").selectAll().execute(),
        await run(services, ann, [getConnection, { id: made.id }]),
      ]);
      for (const { key } of [own, other]) {
        const inside = key.split("\n")[1] ?? key;
        assert.ok(!rows.includes(inside), "a key lies in the clear");
      }
    });
  },
);
