import { paths } from "../../views/paths.ts";
import { SetupPage, SignUpPage } from "../../views/setup.tsx";
import { type Refusal, refusalOf } from "../form.ts";
import { goTo, nextOf, publicShell, signUpIsOpen, type VisitContext, type VisitHandler } from "../visit.ts";
import { rememberDevice } from "./device.ts";
import type { LoginFacts } from "./record.ts";
import { startSession } from "./session.ts";
import { asksForSetupToken, isSetUp, signUp } from "./setup.ts";

/** What the pages outside a session are told by the app. */
export interface LoginPageOptions {
  /** The token that was printed at start, null where none was. */
  readonly setupToken: string | null;
  readonly facts: (c: VisitContext) => LoginFacts;
}

type Show = (c: VisitContext, refusal?: Partial<Refusal>) => Promise<Response>;

/** The page that makes the owner of a new installation; gone once there is one. */
export function setupPage(options: LoginPageOptions): Record<"showSetup" | "setUp", VisitHandler> {
  return {
    showSetup: async (c) => {
      if (await isSetUp(c.get("visit").services.db)) return goTo(c, paths.signIn);
      return await showSetup(c);
    },
    setUp: async (c) => {
      if (await isSetUp(c.get("visit").services.db)) return goTo(c, paths.signIn);
      return await makeAccount(c, options, showSetup);
    },
  };
}

/** The page on which people make accounts themselves, where that is allowed. */
export function signUpPage(options: LoginPageOptions): Record<"showSignUp" | "signUp", VisitHandler> {
  return {
    showSignUp: async (c) => await elsewhere(c) ?? await showSignUp(c),
    signUp: async (c) => await elsewhere(c) ?? await makeAccount(c, options, showSignUp),
  };
}

/** Where a browser goes on that makes no account; null for one that may. */
async function elsewhere(c: VisitContext): Promise<Response | null> {
  const { services, session } = c.get("visit");
  if (session) return goTo(c, wantedOf(c) || paths.home);
  if (!await isSetUp(services.db)) return goTo(c, paths.setup);
  return signUpIsOpen(services.config) ? null : goTo(c, paths.signIn);
}

/** Where a browser wanted to go before it was asked who it is. */
function wantedOf(c: VisitContext): string {
  return nextOf(c, c.req.method === "POST" ? c.get("form").text("next") : c.req.query("next"));
}

async function makeAccount(c: VisitContext, options: LoginPageOptions, show: Show): Promise<Response> {
  const { services } = c.get("visit");
  const form = c.get("form");
  const token = form.text("token").trim();
  const entered = form.pick("name", "email", "password", "organization");
  const facts = { ...options.facts(c), setupToken: options.setupToken };
  try {
    const user = await signUp(services, { ...entered, ...(token && { setupToken: token }) }, facts);
    await startSession(c, services, user.id);
    rememberDevice(c, user.email);
  } catch (error) {
    const values = { ...entered, password: "", token };
    return await show(c, refusalOf(error, { values, names: { setupToken: "token" } }));
  }
  return goTo(c, wantedOf(c) || paths.home);
}

async function showSetup(c: VisitContext, { form, status, headers }: Partial<Refusal> = {}) {
  const tokenRequired = asksForSetupToken(c.get("visit").services.config);
  const page = <SetupPage shell={publicShell(c)} tokenRequired={tokenRequired} {...(form && { form })} />;
  return await c.html(page, status ?? 200, headers);
}

async function showSignUp(c: VisitContext, { form, status, headers }: Partial<Refusal> = {}) {
  const { autoCreateOrganizationOnSignup } = c.get("visit").services.config.auth;
  const props = {
    shell: publicShell(c),
    next: wantedOf(c),
    ownOrganization: autoCreateOrganizationOnSignup,
  };
  return await c.html(<SignUpPage {...props} {...(form && { form })} />, status ?? 200, headers);
}
