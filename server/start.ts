import { Identities } from "./access/identify.ts";
import { Audit } from "./audit.ts";
import { type Config, isLoopbackHost } from "./config.ts";
import { Log } from "./log.ts";
import { Outbound } from "./outbound.ts";
import type { Services } from "./services.ts";
import { migrate, openDatabase, refuseNewer } from "./storage/database.ts";
import { SigningKeys } from "./upstream/signing_keys.ts";
import { Health } from "./upstream/health.ts";
import { Upstream } from "./upstream/upstream.ts";
import { findMasterKeys, openVault } from "./vault.ts";

/**
 * Makes the services in the order in which they may fail: nothing is written to a database that is newer than this
 * executable or sealed with another key. Throws an AppError of one line.
 */
export async function startServices(config: Config): Promise<Services> {
  const log = new Log(config.logLevel);
  const outbound = new Outbound({
    allow: [...config.outboundAllow],
    loopbackAllowed: isLoopbackHost(config.host),
  });
  const db = await openDatabase(config.databaseUrl, config.databasePoolMax);
  try {
    await refuseNewer(db);
    const keys = await findMasterKeys(db, config.encryptionKey, config.dataDir);
    const applied = await migrate(db);
    if (applied.length > 0) log.info("database migrated", { migrations: applied.join(", ") });
    const vault = await openVault(db, keys);
    const audit = await Audit.open({
      db,
      log,
      dir: config.dataDir,
      databaseUrl: config.databaseUrl,
      retentionDays: config.auditRetentionDays,
    });
    const identities = new Identities({ db, log });
    const signingKeys = new SigningKeys({ db, vault });
    const upstream = new Upstream({ db, vault, outbound, signingKeys, log, config });
    const health = new Health({ db, log, vault, outbound, upstream, config }, {
      intervalMs: config.healthCheckSeconds * 1000,
    });
    vault.watch(log);
    if (config.healthCheckSeconds > 0) health.start();
    return Object.freeze({
      config,
      log,
      db,
      vault,
      audit,
      identities,
      outbound,
      signingKeys,
      upstream,
      health,
    });
  } catch (error) {
    await db.destroy();
    throw error;
  }
}

/** Ends what `startServices` made: rows first, then sockets, then the database. */
export async function stopServices(services: Services): Promise<void> {
  const { health, audit, vault, identities, upstream, outbound, db } = services;
  await health.close();
  await audit.close();
  await upstream.close();
  await vault.close();
  await identities.idle();
  outbound.close();
  await db.destroy();
}
