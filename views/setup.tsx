import type { FormState, PublicShell } from "./types.ts";
import { Button } from "./components/button.tsx";
import { entered, Form, FormMessage, TextField } from "./components/form.tsx";
import { AuthLayout } from "./layout.tsx";
import { paths, withQuery } from "./paths.ts";

/** Posts name, email, password, organization and, where it is asked for, token. */
export interface SetupPageProps {
  shell: PublicShell;
  /** The server listens beyond this machine: the token that it printed at start is asked for. */
  tokenRequired: boolean;
  form?: FormState;
}

function AccountFields({ form }: { form: FormState | undefined }) {
  return (
    <>
      <TextField {...entered(form, "name")} label="Your name" autocomplete="name" required autofocus />
      <TextField {...entered(form, "email")} label="E-mail" type="email" autocomplete="username" required />
      <TextField
        {...entered(form, "password")}
        value=""
        label="Password"
        type="password"
        autocomplete="new-password"
        hint="At least 8 characters. A sentence is easier to remember than symbols."
        required
        attributes={{ minlength: 8 }}
      />
    </>
  );
}

/** The first page of a new installation: makes the account that owns it. */
export function SetupPage({ shell, tokenRequired, form }: SetupPageProps) {
  return (
    <AuthLayout title="Set up" shell={shell} foot="Everything stays on this server.">
      <h1>Set up Mesh</h1>
      <p class="lead small">This account owns the installation. Sign-up closes once it is made.</p>
      <Form csrf={shell.csrf} action={paths.setup} class="stack">
        <FormMessage state={form} />
        <AccountFields form={form} />
        <TextField
          {...entered(form, "organization")}
          label="Organization"
          autocomplete="organization"
          hint="Connections, members and keys belong to it. You can rename it later."
          required
        />
        {tokenRequired && (
          <TextField
            {...entered(form, "token")}
            label="Setup token"
            autocomplete="off"
            mono
            hint="The server printed it when it started. It proves that you run this server."
            required
          />
        )}
        <div class="row end">
          <Button kind="main">Create account</Button>
        </div>
      </Form>
    </AuthLayout>
  );
}

/** Posts name, email, password, organization and next. */
export interface SignUpPageProps {
  shell: PublicShell;
  /** Path to continue with once there is an account. */
  next?: string | undefined;
  /** Everybody gets an organization of their own. */
  ownOrganization: boolean;
  form?: FormState;
}

/** An account that somebody makes themselves. */
export function SignUpPage({ shell, next, ownOrganization, form }: SignUpPageProps) {
  const foot = (
    <>
      Do you have an account? <a href={withQuery(paths.signIn, { next })}>Sign in</a>
    </>
  );
  return (
    <AuthLayout title="Create an account" shell={shell} foot={foot}>
      <h1>Create an account</h1>
      <p class="lead small">Administrators add you to their organization by your e-mail address.</p>
      <Form csrf={shell.csrf} action={paths.signUp} class="stack">
        <FormMessage state={form} />
        {next && <input type="hidden" name="next" value={next} />}
        <AccountFields form={form} />
        <TextField
          {...entered(form, "organization")}
          label="New organization"
          autocomplete="organization"
          note="optional"
          hint={ownOrganization
            ? "You own it. Left empty, it is named after you."
            : "You own it. Left empty, none is made."}
        />
        <div class="row end">
          <Button kind="main">Create account</Button>
        </div>
      </Form>
    </AuthLayout>
  );
}
