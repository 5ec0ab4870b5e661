import type { FormState, PublicShell } from "./types.ts";
import { Button } from "./components/button.tsx";
import { entered, Form, FormMessage, TextField } from "./components/form.tsx";
import { AuthLayout } from "./layout.tsx";
import { paths, withQuery } from "./paths.ts";

/** Posts email, password and next. */
export interface SignInPageProps {
  shell: PublicShell;
  /** Path to continue with after signing in. */
  next?: string | undefined;
  /** Anybody may make an account. */
  signUp: boolean;
  form?: FormState;
}

/** Sign-in with e-mail and password. */
export function SignInPage({ shell, next, signUp, form }: SignInPageProps) {
  const known = Boolean(form?.values?.email);
  return (
    <AuthLayout
      title="Sign in"
      shell={shell}
      foot={signUp
        ? (
          <>
            No account yet? <a href={withQuery(paths.signUp, { next })}>Create one</a>
          </>
        )
        : "No account yet? Ask the owner of this installation."}
    >
      <h1>Sign in</h1>
      <Form csrf={shell.csrf} action={paths.signIn} class="stack">
        <FormMessage state={form} />
        {next && <input type="hidden" name="next" value={next} />}
        <TextField
          {...entered(form, "email")}
          label="E-mail"
          type="email"
          autocomplete="username"
          autofocus={!known}
          required
        />
        <TextField
          {...entered(form, "password")}
          value=""
          label="Password"
          type="password"
          autocomplete="current-password"
          autofocus={known}
          required
        />
        <div class="row end">
          <Button kind="main">Sign in</Button>
        </div>
      </Form>
    </AuthLayout>
  );
}
