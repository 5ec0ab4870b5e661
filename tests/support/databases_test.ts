import assert from "node:assert/strict";
import mysql from "mysql2/promise";
import connectPostgres from "postgres";
import { onEachDatabase, withDatabase } from "./databases.ts";

onEachDatabase("a test database is empty and can be written", async (_t, url, kind) => {
  if (kind === "sqlite") {
    const { DatabaseSync } = await import("node:sqlite");
    using database = new DatabaseSync(url.slice("file:".length));
    database.exec("CREATE TABLE probe (id INTEGER)");
    assert.deepEqual(database.prepare("SELECT * FROM probe").all(), []);
  } else if (kind === "postgres") {
    const client = connectPostgres(url, { max: 1 });
    await client.unsafe("CREATE TABLE probe (id INTEGER)");
    const tables = await client.unsafe("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
    assert.deepEqual([...tables].map((row) => ({ ...row })), [{ tablename: "probe" }]);
    await client.end();
  } else {
    const client = await mysql.createConnection({ uri: url });
    await client.query("CREATE TABLE probe (id INTEGER)");
    const [tables] = await client.query("SHOW TABLES");
    assert.equal(Array.isArray(tables) && tables.length, 1);
    const [charset] = await client.query("SELECT @@character_set_database AS name");
    assert.equal(JSON.stringify(charset), '[{"name":"utf8mb4"}]');
    await client.end();
  }
});

onEachDatabase("each call gets a database of its own", async (_t, url, kind) => {
  await withDatabase(kind, (other) => {
    assert.notEqual(other, url);
    return Promise.resolve();
  });
});
