import { paths } from "../../views/paths.ts";
import { SetupPage } from "../../views/setup.tsx";
import { type Refusal, refusalOf } from "../form.ts";
import { goTo, publicShell, type VisitContext, type VisitHandler } from "../visit.ts";
import type { LoginFacts } from "./record.ts";
import { startSession } from "./session.ts";
import { asksForSetupToken, isSetUp, signUp } from "./setup.ts";

/** What the pages outside a session are told by the app. */
export interface LoginPageOptions {
  /** The token that was printed at start, null where none was. */
  readonly setupToken: string | null;
  readonly facts: (c: VisitContext) => LoginFacts;
}

/** The page that makes the owner of a new installation; gone once there is one. */
export function setupPage(options: LoginPageOptions): { showSetup: VisitHandler; setUp: VisitHandler } {
  return {
    showSetup: async (c) => {
      if (await isSetUp(c.get("visit").services.db)) return goTo(c, paths.signIn);
      return await show(c);
    },
    setUp: async (c) => {
      const { services } = c.get("visit");
      if (await isSetUp(services.db)) return goTo(c, paths.signIn);
      const form = c.get("form");
      const token = form.text("token").trim();
      const entered = form.pick("name", "email", "password", "organization");
      const facts = { ...options.facts(c), setupToken: options.setupToken };
      try {
        const user = await signUp(services, { ...entered, ...(token && { setupToken: token }) }, facts);
        await startSession(c, services, user.id);
      } catch (error) {
        const values = { ...entered, password: "", token };
        const { status, form, headers } = refusalOf(error, { values, names: { setupToken: "token" } });
        return await show(c, { form, status, headers });
      }
      return goTo(c, paths.home);
    },
  };
}

async function show(c: VisitContext, { form, status, headers }: Partial<Refusal> = {}) {
  const tokenRequired = asksForSetupToken(c.get("visit").services.config);
  const page = <SetupPage shell={publicShell(c)} tokenRequired={tokenRequired} {...(form && { form })} />;
  return await c.html(page, status ?? 200, headers);
}
