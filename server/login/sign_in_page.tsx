import { paths } from "../../views/paths.ts";
import { SignInPage } from "../../views/sign_in.tsx";
import type { FormState } from "../../views/types.ts";
import { refusalOf } from "../form.ts";
import { goTo, nextOf, publicShell, signUpIsOpen, type VisitContext, type VisitHandler } from "../visit.ts";
import { knownDevice, rememberDevice } from "./device.ts";
import { endSession, startSession } from "./session.ts";
import type { LoginPageOptions } from "./setup_page.tsx";
import { isSetUp } from "./setup.ts";
import { signIn } from "./sign_in.ts";

/** The page that signs in, and the form that signs out. */
export function signInPage(
  { facts }: LoginPageOptions,
): Record<"showSignIn" | "signIn" | "signOut", VisitHandler> {
  return {
    showSignIn: async (c) => {
      const { services, session } = c.get("visit");
      const next = nextOf(c, c.req.query("next"));
      if (session) return goTo(c, next || paths.home);
      if (!await isSetUp(services.db)) return goTo(c, paths.setup);
      return await show(c, { next });
    },
    signIn: async (c) => {
      const { services } = c.get("visit");
      const form = c.get("form");
      const next = nextOf(c, form.text("next"));
      const entered = form.pick("email", "password");
      try {
        const device = knownDevice(c, (entered.email ?? "").trim().toLowerCase());
        const user = await signIn(services, entered, { ...facts(c), device });
        await startSession(c, services, user.id);
        rememberDevice(c, user.email);
      } catch (error) {
        const { status, form, headers } = refusalOf(error, { values: { ...entered, password: "" } });
        return await show(c, { next, form, status, headers });
      }
      return goTo(c, next || paths.home);
    },
    signOut: async (c) => {
      await endSession(c, c.get("visit").services);
      return goTo(c, paths.signIn);
    },
  };
}

interface Shown {
  next: string;
  form?: FormState;
  status?: 200 | 409 | 422 | 429;
  headers?: Record<string, string>;
}

async function show(c: VisitContext, { next, form, status = 200, headers }: Shown): Promise<Response> {
  const signUp = signUpIsOpen(c.get("visit").services.config);
  const page = <SignInPage shell={publicShell(c)} next={next} signUp={signUp} {...(form && { form })} />;
  return await c.html(page, status, headers);
}
