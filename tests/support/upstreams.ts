// Everything that a test can put behind the mesh.
export { startFixture } from "./upstreams/fixture.ts";
export type { Fixture, FixtureOptions, SeenRequest } from "./upstreams/fixture.ts";
export { startEverything } from "./upstreams/everything.ts";
export type { Everything } from "./upstreams/everything.ts";
export { closedPort, startHostile } from "./upstreams/hostile.ts";
export type { Behaviour, Exchange, Hostile, HostileRequest } from "./upstreams/hostile.ts";
export * as behaviours from "./upstreams/behaviours.ts";
